package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/retry"
	"windlass.dev/windlass/services/bench/internal/client"
	"windlass.dev/windlass/services/bench/internal/load"
	"windlass.dev/windlass/services/bench/internal/report"
	"windlass.dev/windlass/services/bench/internal/stack"
	"windlass.dev/windlass/services/mock"
)

// TestCostOfOneCall counts the statements of a request that is one model call.
// It has three parts: accept, turn and settlement, each with at most one write
// and one read; a stream adds one write. One client sends the requests, so that
// no commits are grouped.
func TestCostOfOneCall(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		stream     bool
		statements float64
	}{"whole": {false, 6}, "streamed": {true, 7}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), gateLimit)
			defer cancel()
			s := startInProcess(t)
			do := func(ctx context.Context, seed int64) error { return s.chat(ctx, seed, tt.stream) }
			s.warmUp(ctx, t, tt.stream)
			s.mock.Reset()

			before := stack.Reading{PG: s.postgres(t), NATS: s.traffic(t)}
			runs, took := load.Load{Workers: 1, First: 1, Most: gateRuns, Until: time.Now().Add(gateLimit)}.Drive(ctx, do)
			after := stack.Reading{NATS: s.traffic(t)}
			s.end()
			after.PG = s.published(t)

			for _, r := range runs {
				if r.Err != nil {
					t.Fatal(r.Err)
				}
			}
			cost := report.NewPerStep(after.Sub(before), len(runs))
			// Write transactions and WAL count the whole server: they mean
			// something only if the test runs alone.
			t.Logf("%d calls in %s: one took %.2f commits, %.2f write transactions, %.2f statements, %.0f bytes of WAL, %.1f NATS messages of %.0f bytes",
				len(runs), took.Round(time.Millisecond), cost.Commits, cost.Writes, cost.Statements, cost.WALBytes, cost.Messages, cost.MessageBytes)
			if calls := len(s.mock.Ledger()); len(runs) != gateRuns || calls != gateRuns {
				t.Errorf("%d requests made %d calls, want %d of both", len(runs), calls, gateRuns)
			}
			least, most := tt.statements-0.1, tt.statements+4 // for the services' periodic queries
			if cost.Commits < least || cost.Commits > most {  // each statement is a transaction
				t.Errorf("a call took %.2f transactions, want %v", cost.Commits, tt.statements)
			}
			if cost.StatementsKnown && (cost.Statements < least || cost.Statements > most) {
				t.Errorf("a call took %.2f statements, want %v", cost.Statements, tt.statements)
			}
		})
	}
}

var errUnavailable = errors.New("the gateway answered 503")

// warmUp makes calls until one succeeds: while the services connect, a gateway
// may answer 503, which clients retry.
func (s *inProcess) warmUp(ctx context.Context, t *testing.T, stream bool) {
	t.Helper()
	policy := retry.Policy{First: 50 * time.Millisecond, Last: time.Second}
	unavailable := func(err error) bool { return errors.Is(err, errUnavailable) }
	seed := int64(1_000_000)
	err := retry.Do(ctx, policy, unavailable, func(ctx context.Context) error {
		seed++
		return s.chat(ctx, seed, stream)
	})
	if err != nil {
		t.Fatalf("first call: %v", err)
	}
}

// chat makes one chat completion and compares its text.
func (s *inProcess) chat(ctx context.Context, seed int64, stream bool) error {
	plan := mock.Plan{Seed: seed}
	body, err := json.Marshal(map[string]any{
		"model": client.ModelName, "messages": []any{map[string]any{"role": "user", "content": plan.Prompt()}}, "stream": stream,
	})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.api.URL+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header = http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + client.APIKey}}
	resp, err := s.api.HTTP.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode == http.StatusServiceUnavailable:
		return fmt.Errorf("%w: %s", errUnavailable, raw)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("status %d: %s", resp.StatusCode, raw)
	}
	text := ""
	for line := range bytes.Lines(raw) {
		var c struct {
			Choices []struct{ Message, Delta struct{ Content string } }
		}
		if json.Unmarshal(bytes.TrimPrefix(line, []byte("data: ")), &c) == nil && len(c.Choices) == 1 {
			text += c.Choices[0].Message.Content + c.Choices[0].Delta.Content
		}
	}
	return client.Compare(plan, text)
}
