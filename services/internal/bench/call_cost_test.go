package bench

import (
	"context"
	"net/http"
	"testing"
	"time"

	"windlass.dev/windlass/services/internal/mock"
)

// TestCostOfOneCall: a request that is one model call is three hand-overs (accept, turn, settlement), each one write and one read at
// most. One client asks, so that nothing is grouped.
func TestCostOfOneCall(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), gateLimit)
	defer cancel()
	s := startInProcess(t)
	header := http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + s.api.key}}
	do := func(ctx context.Context, seed int64) error {
		plan := mock.Plan{Seed: seed}
		var got struct {
			Choices []struct{ Message struct{ Content string } }
		}
		err := post(ctx, s.api.http, s.api.url+"/v1/chat/completions", header, map[string]any{
			"model": modelName, "messages": []any{map[string]any{"role": "user", "content": plan.Prompt()}},
		}, &got)
		if err == nil && len(got.Choices) == 1 {
			err = compare(plan, got.Choices[0].Message.Content)
		}
		return err
	}
	first, _ := load{workers: 1, first: 1_000_000, most: 1, until: time.Now().Add(gateLimit)}.drive(ctx, do)
	if len(first) != 1 || first[0].err != nil {
		t.Fatalf("first run = %+v, want one that succeeds", first)
	}
	s.mock.Reset()

	before := reading{pg: s.postgres(t), nats: s.traffic(t)}
	runs, took := load{workers: 1, first: 1, most: gateRuns, until: time.Now().Add(gateLimit)}.drive(ctx, do)
	after := reading{nats: s.traffic(t)}
	s.end()
	after.pg = s.published(t)

	for _, r := range runs {
		if r.err != nil {
			t.Fatal(r.err)
		}
	}
	cost := perStep(after.sub(before), len(runs))
	// Write transactions and WAL are the whole server's: they mean something when the test runs alone.
	t.Logf("%d calls in %s: one took %.2f commits, %.2f write transactions, %.2f statements, %.0f bytes of WAL, %.1f NATS messages of %.0f bytes",
		len(runs), took.Round(time.Millisecond), cost.Commits, cost.Writes, cost.Statements, cost.WALBytes, cost.Messages, cost.MessageBytes)
	if calls := len(s.mock.Ledger()); len(runs) != gateRuns || calls != gateRuns {
		t.Errorf("%d requests made %d calls, want %d of both", len(runs), calls, gateRuns)
	}
	if cost.Commits < 5.9 || cost.Commits > 10 { // each statement is a transaction
		t.Errorf("a call took %.2f transactions, want 6 and what the services look at meanwhile", cost.Commits)
	}
	if cost.StatementsKnown && (cost.Statements < 5.9 || cost.Statements > 10) {
		t.Errorf("a call took %.2f statements, want 6 and what the services look at meanwhile", cost.Statements)
	}
}
