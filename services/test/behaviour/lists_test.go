package behaviour

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
	"windlass.dev/windlass/services/test/streamcheck"
)

func types(r stack.Response) []string {
	all := make([]string, len(r.Output))
	for i, it := range r.Output {
		all[i] = it.Type
	}
	return all
}

// offered returns the names in the list at the start of a response.
func offered(tb testing.TB, r stack.Response) []string {
	tb.Helper()
	var object struct {
		Output []struct {
			Type  string
			Tools []struct{ Name string }
		}
	}
	if err := json.Unmarshal(r.JSON, &object); err != nil {
		tb.Fatal(err)
	}
	var names []string
	for i, it := range object.Output {
		if it.Type == "mcp_list_tools" && i > 0 {
			tb.Errorf("the output has a list at %d: %s", i, r.JSON)
		}
		for _, t := range it.Tools {
			names = append(names, t.Name)
		}
	}
	return names
}

// lists holds that a response whose model gets the registered tools starts with
// a list of them, once in a chain.
func (c *capture) lists(t *testing.T, s *stack.Stack) {
	all := []string{"mock_echo", "mock_idempotent", "mock_once"}
	some := stack.Fields{"type": "mcp", "server_label": "windlass", "allowed_tools": []string{"mock_once"}}
	t.Run("a line of responses", func(t *testing.T) {
		t.Parallel()
		plan := mock.Plan{Seed: 8800, Rounds: 1}
		first := s.Ask(t, plan, stack.Fields{"model": "capture"})
		equal(t, "output", []string{"mcp_list_tools", "mcp_call", "message"}, types(first))
		equal(t, "what is offered", all, offered(t, first))
		again := s.Ask(t, mock.Plan{Seed: 8801}, stack.Fields{"previous_response_id": first.ID})
		equal(t, "output of the next response", []string{"message"}, types(again))
		fewer := s.Ask(t, mock.Plan{Seed: 8802}, stack.Fields{"previous_response_id": again.ID, "tools": []stack.Fields{some}})
		equal(t, "what is offered of fewer tools", []string{"mock_once"}, offered(t, fewer))
		none := s.Ask(t, mock.Plan{Seed: 8803}, stack.Fields{"previous_response_id": fewer.ID, "tools": nil})
		equal(t, "output without tools", []string{"message"}, types(none))
		whole := s.Ask(t, mock.Plan{Seed: 8804}, stack.Fields{"previous_response_id": none.ID})
		equal(t, "what is offered of all again", all, offered(t, whole))
	})
	t.Run("a stream", func(t *testing.T) {
		t.Parallel()
		raw := s.Stream(t, mock.Plan{Seed: 8810, Rounds: 2, Width: 2}, nil)
		first := stack.Streamed(t, raw)
		equal(t, "what is offered", all, offered(t, first))
		if again := s.Resume(t, first.ID, -1); !bytes.Equal(again, streamcheck.Tail(raw, -1)) {
			t.Errorf("read again, the stream is\n%s\nit was\n%s", again, raw)
		}
		second := s.Stream(t, mock.Plan{Seed: 8811}, stack.Fields{"previous_response_id": first.ID})
		if slices.Contains(eventTypes(second), "response.mcp_list_tools.completed") {
			t.Errorf("what continues it has the list again: %s", second)
		}
	})
	t.Run("a response that was not streamed", func(t *testing.T) {
		t.Parallel()
		accepted := s.Background(t, mock.Plan{Seed: 8820, Rounds: 1, Width: 2}, nil)
		resumed := stack.Streamed(t, s.Resume(t, accepted.ID, -1))
		equal(t, "what is offered", all, offered(t, resumed))
		equal(t, "the response", string(s.Get(t, accepted.ID).JSON), string(resumed.JSON))
	})
	t.Run("a text without tools", func(t *testing.T) {
		t.Parallel()
		raw := s.Stream(t, mock.Plan{Seed: 8830, Text: "plain"}, stack.Fields{"tools": nil})
		if bytes.Contains(raw, []byte("mcp_")) {
			t.Errorf("the stream of a text has %s", raw)
		}
	})
	t.Run("given back as input", func(t *testing.T) {
		t.Parallel()
		c.listGivenBack(t, s)
	})
	t.Run("a conversation", func(t *testing.T) {
		t.Parallel()
		fields := stack.Fields{"conversation": newConversation(t, s)}
		equal(t, "the first one's list", all, offered(t, s.Ask(t, mock.Plan{Seed: 8850, Rounds: 1}, fields)))
		equal(t, "the second one's output", []string{"message"}, types(s.Ask(t, mock.Plan{Seed: 8851}, fields)))
	})
	t.Run("a model that fails at first", func(t *testing.T) {
		t.Parallel()
		plan := mock.Plan{Seed: 8860, Rounds: 1, ModelFaults: []mock.Fault{{Times: 1, Mode: "truncate"}}}
		raw := s.Stream(t, plan, nil)
		equal(t, "what is offered", all, offered(t, stack.Streamed(t, raw)))
	})
}

// listGivenBack holds that a client that keeps the history may send the list
// back; the upstream does not get it.
func (c *capture) listGivenBack(t *testing.T, s *stack.Stack) {
	plan := mock.Plan{Seed: 8840, Rounds: 1}
	first := s.Ask(t, plan, stack.Fields{"model": "capture", "store": false})
	var object struct{ Output []any }
	if err := json.Unmarshal(first.JSON, &object); err != nil {
		t.Fatal(err)
	}
	input := append([]any{say("user", plan.Prompt())}, append(object.Output, say("user", "And then?"))...)
	second := s.Ask(t, plan, stack.Fields{"model": "capture", "store": false, "input": input})
	equal(t, "output of the response with the list", []string{"message"}, types(second))
	var roles []string
	for _, m := range c.body(t, plan, 2)["messages"].([]any) {
		roles = append(roles, m.(map[string]any)["role"].(string))
	}
	equal(t, "roles of the upstream's messages", []string{"user", "assistant", "tool", "assistant", "user"}, roles)
}
