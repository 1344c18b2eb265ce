//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/process/failpoint"
	"windlass.dev/windlass/services/mock"
)

// talk is a conversation and its responses.
type talk struct {
	w  *world
	ID string `json:"id"`
}

// submit makes a background response on the conversation, which the previous
// response may still lock.
func (c *talk) submit(ctx context.Context, p mock.Plan) (string, error) {
	body, err := json.Marshal(map[string]any{
		"model": model, "input": p.Prompt(), "background": true, "conversation": c.ID,
		"tools": []any{map[string]any{"type": "mcp", "server_label": "windlass"}},
	})
	if err != nil {
		return "", err
	}
	var o Object
	var refused *refusal
	again := func() bool {
		err = c.w.api.do(ctx, http.MethodPost, "/v1/responses", body, &o)
		return !errors.As(err, &refused) || !strings.Contains(refused.body, "conversation_locked")
	}
	if !until(ctx, 50*time.Millisecond, again) {
		return "", fmt.Errorf("the conversation stays locked: %w", err)
	}
	return o.ID, err
}

// items returns the conversation's items, oldest first.
func (c *talk) items(ctx context.Context) ([]json.RawMessage, error) {
	var list struct{ Data []json.RawMessage }
	err := c.w.api.do(ctx, http.MethodGet, "/v1/conversations/"+c.ID+"/items?order=asc&limit=100", nil, &list)
	return list.Data, err
}

// leaves returns what a response adds: its input and its output.
func (c *talk) leaves(ctx context.Context, id string) ([]json.RawMessage, error) {
	var input struct{ Data []json.RawMessage }
	if err := c.w.api.do(ctx, http.MethodGet, "/v1/responses/"+id+"/input_items?order=asc", nil, &input); err != nil {
		return nil, err
	}
	var object struct{ Output []json.RawMessage }
	err := c.w.api.do(ctx, http.MethodGet, "/v1/responses/"+id, nil, &object)
	return append(input.Data, object.Output...), err
}

// TestConversationsSurviveTheirFinalizers holds that, after any process dies
// around the end of a response, the conversation has each item once, in order,
// and accepts the next response.
func TestConversationsSurviveTheirFinalizers(t *testing.T) {
	t.Parallel()
	alone(t)
	w := newWorld(t, env("WINDLASS_ACK_WAIT", "1s"))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := &talk{w: w}
	if err := w.api.do(ctx, http.MethodPost, "/v1/conversations", []byte(`{}`), c); err != nil {
		t.Fatal(err)
	}
	var want []json.RawMessage
	for i, name := range []failpoint.Name{
		failpoint.FinalBeforeCommit, failpoint.FinalAfterCommit, failpoint.FinalAfterPublish, failpoint.FinalBeforeCommit,
	} {
		w.services["finalizer"].kill(t)
		armed := w.services["finalizer"].start(t, env("FAILPOINT", fmt.Sprintf("%s:1", name)))
		id, err := c.submit(ctx, mock.Plan{Seed: int64(i + 1), Rounds: 1, Width: 2})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if code := armed.awaitEnd(t, "finalizer"); code != died {
			t.Fatalf("%s: the finalizer ended with %d, want %d", name, code, died)
		}
		w.restart("finalizer")
		next, err := c.submit(ctx, mock.Plan{Seed: int64(100 + i)}) // waits for the end of the first
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		ended := func() bool { o, err := w.api.object(ctx, next); return err == nil && o.Terminal() }
		if !until(ctx, 50*time.Millisecond, ended) {
			t.Fatalf("%s: response %s has not ended", name, next)
		}
		for _, id := range []string{id, next} {
			left, err := c.leaves(ctx, id)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			want = append(want, left...)
		}
		got, err := c.items(ctx)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !slices.EqualFunc(want, got, func(a, b json.RawMessage) bool { return string(a) == string(b) }) {
			t.Fatalf("%s: the conversation has the items\n%s\nwant\n%s", name, got, want)
		}
	}
	t.Logf("%d items of 8 responses, each once", len(want))
}
