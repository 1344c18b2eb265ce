//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"windlass.dev/windlass/services/mock"
)

// result is the result of one chat completion.
type result struct {
	status int
	text   string // the model's text; of a cut stream, the part that arrived
	failed string // the code of the error, if any
	done   bool   // the answer is complete
}

// chat makes a chat completion of the plan and reads its answer. begun is
// called with the first chunk of a stream.
func (c *client) chat(ctx context.Context, p mock.Plan, stream bool, begun func()) (s result, err error) {
	body, err := json.Marshal(map[string]any{
		"model": model, "stream": stream, "messages": []any{map[string]any{"role": "user", "content": p.Prompt()}},
	})
	if err != nil {
		return s, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return s, err
	}
	r.Header.Set("Authorization", "Bearer "+apiKey)
	r.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{Transport: c.http.Transport}).Do(r)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	s.status = resp.StatusCode
	if stream && s.status == http.StatusOK {
		begun()
	}
	raw, err := io.ReadAll(resp.Body)
	for line := range bytes.Lines(raw) {
		data := bytes.TrimSpace(bytes.TrimPrefix(line, []byte("data: ")))
		var part struct {
			Choices []struct{ Message, Delta struct{ Content string } }
			Error   struct{ Code string }
		}
		switch {
		case string(data) == "[DONE]":
			s.done = true
		case len(data) == 0:
		case json.Unmarshal(data, &part) != nil:
			return s, fmt.Errorf("no chunk: %s", data)
		default:
			for _, choice := range part.Choices {
				s.text += choice.Message.Content + choice.Delta.Content
			}
			s.failed += part.Error.Code
			s.done = s.done || !stream
		}
	}
	return s, err
}

// TestCallsOverAKilledOrchestrator kills the orchestrators of calls. A call
// whose client has received nothing is made again by another orchestrator. A
// stream that has begun ends with an error, and its text is a prefix of the
// model's.
func TestCallsOverAKilledOrchestrator(t *testing.T) {
	t.Parallel()
	alone(t)
	const calls = 60
	w := newWorld(t, env("WINDLASS_ACK_WAIT", "1s"))
	ctx, cancel := context.WithTimeout(t.Context(), resumePatience)
	defer cancel()
	plans, ends := make([]mock.Plan, calls), make([]result, calls)
	var all, begun sync.WaitGroup
	for i := range calls {
		plans[i] = mock.Plan{Seed: int64(i + 1), ThinkMS: 4000}
		stream := i%3 > 0
		if i%3 == 1 { // these have begun when the orchestrator is killed; the others have not
			plans[i] = mock.Plan{Seed: int64(i + 1), Tokens: 100, TokenRate: 10}
			begun.Add(1)
		}
		all.Go(func() {
			var err error
			once := sync.OnceFunc(func() {
				if i%3 == 1 {
					begun.Done()
				}
			})
			defer once()
			if ends[i], err = w.api.chat(ctx, plans[i], stream, once); err != nil {
				t.Errorf("call %d: %v", i, err)
			}
		})
	}
	begun.Wait()
	pause(ctx, 500*time.Millisecond)
	w.services["loop-orchestrator"].kill(t)
	w.restart("loop-orchestrator")
	all.Wait()
	for i, end := range ends {
		answer := plans[i].Answer()
		switch {
		case end.status != http.StatusOK || !end.done:
			t.Errorf("call %d ended as %+v, want an end", i, end)
		case i%3 == 1 && (end.failed != "connection_error" || end.text == "" || end.text == answer || !strings.HasPrefix(answer, end.text)):
			t.Errorf("the stream %d ended as %+v, want a part of %q and an error", i, end, answer)
		case i%3 != 1 && (end.failed != "" || end.text != answer):
			t.Errorf("call %d ended as %+v, want %q", i, end, answer)
		}
	}
}
