package behaviour

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
)

// rivalsOnAConversation holds that of several responses to one conversation at
// the same time one gets it, and that no item of the successful ones is lost or
// mixed.
func rivalsOnAConversation(t *testing.T, s *stack.Stack) {
	id := newConversation(t, s)
	const rivals, rounds = 6, 4
	var mu sync.Mutex
	var won []stack.Response
	locked := 0
	for round := range rounds {
		var all sync.WaitGroup
		for i := range rivals {
			plan := mock.Plan{Seed: int64(8630 + 10*round + i), Rounds: 1, Width: 2, ThinkMS: 50}
			all.Go(func() {
				body, err := json.Marshal(stack.Fields{"model": "mock", "input": plan.Prompt(), "conversation": id, "tools": []stack.Fields{hosted}})
				if err != nil {
					t.Error(err)
				}
				status, text := s.Do(t, http.MethodPost, "/v1/responses", body)
				mu.Lock()
				defer mu.Unlock()
				if status == http.StatusBadRequest && strings.Contains(string(text), `"conversation_locked"`) {
					locked++
					return
				}
				r := stack.Response{JSON: text}
				if err := json.Unmarshal(text, &r); err != nil || status != http.StatusOK {
					t.Errorf("answered %d %s", status, text)
				}
				completed(t, r, plan.Answer())
				won = append(won, r)
			})
		}
		all.Wait()
	}
	if len(won) < rounds || locked+len(won) != rounds*rivals || locked == 0 {
		t.Errorf("%d were answered, %d found the conversation locked, of %d", len(won), locked, rounds*rivals)
	}
	slices.SortFunc(won, func(a, b stack.Response) int { return strings.Compare(a.ID, b.ID) }) // by time
	var want []any
	for _, r := range won {
		want = append(want, leaves(t, s, r)...)
	}
	equal(t, "the conversation's items", want, items(t, s, id))
}

// endsOnAConversation holds that only a completed or incomplete, stored
// response is added, and that the conversation is unlocked after each.
func endsOnAConversation(t *testing.T, s *stack.Stack) {
	id := newConversation(t, s)
	on := func(fields stack.Fields) stack.Fields {
		fields["conversation"] = id
		return fields
	}
	slow := mock.Plan{Seed: 8670, ThinkMS: 60_000}
	running := s.Background(t, slow, on(stack.Fields{}))
	for _, stream := range []bool{false, true} {
		refused(t, s, on(stack.Fields{"stream": stream}), "x", "conversation",
			"Another process is currently operating on this conversation. Please retry in a few seconds.")
	}
	if got := s.Cancel(t, running.ID); got.Status != "cancelled" {
		t.Fatalf("the cancelled response is %s", got.Status)
	}
	failed := s.Ask(t, mock.Plan{Seed: 8671, ModelFaults: []mock.Fault{{Round: -1, Status: 400}}}, on(stack.Fields{}))
	if failed.Status != "failed" {
		t.Errorf("the failed response is %s", failed.Status)
	}
	hidden := mock.Plan{Seed: 8672}
	completed(t, s.Ask(t, hidden, on(stack.Fields{"store": false})), hidden.Answer())
	equal(t, "items after a cancelled, a failed and one that is not stored", []any(nil), append([]any(nil), items(t, s, id)...))
	cut := s.Ask(t, mock.Plan{Seed: 8673, FinishReason: "length"}, on(stack.Fields{}))
	ended(t, cut, "incomplete", "max_output_tokens")
	last := mock.Plan{Seed: 8674}
	answer := s.Ask(t, last, on(stack.Fields{"background": nil}))
	completed(t, answer, last.Answer())
	want := append(leaves(t, s, cut), leaves(t, s, answer)...)
	if status, text := s.Do(t, http.MethodDelete, "/v1/responses/"+cut.ID, nil); status != http.StatusOK {
		t.Errorf("DELETE answered %d %s", status, text)
	}
	equal(t, "items, one response of them deleted", want, items(t, s, id))
}

// deletedConversation holds that a response without its history fails at its
// next turn, and completes if it has no next turn.
func deletedConversation(t *testing.T, s *stack.Stack) {
	for name, tt := range map[string]struct {
		plan mock.Plan
		kind string // of the call that runs while the conversation is deleted
		code string
	}{
		"before another turn":  {mock.Plan{Seed: 8680, Rounds: 1, ToolMS: 700}, "tool", "conversation_not_found"},
		"during the last turn": {mock.Plan{Seed: 8681, ThinkMS: 700}, "model", ""},
	} {
		id := newConversation(t, s, stack.Fields{"role": "user", "content": "hi"})
		r := s.Background(t, tt.plan, stack.Fields{"conversation": id})
		deadline := time.After(20 * time.Second)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for len(s.Calls(tt.kind, tt.plan.Seed)) == 0 {
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatalf("%s: no %s was called", name, tt.kind)
			}
		}
		call(t, s, http.MethodDelete, "/v1/conversations/"+id, nil, http.StatusOK)
		end := s.Wait(t, r.ID)
		if tt.code == "" {
			completed(t, end, tt.plan.Answer())
		} else {
			ended(t, end, "failed", tt.code)
		}
		call(t, s, http.MethodGet, "/v1/conversations/"+id+"/items", nil, http.StatusNotFound)
	}
}
