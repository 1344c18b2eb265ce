package behaviour

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
	"windlass.dev/windlass/services/test/streamcheck"
)

func eventTypes(raw []byte) []string {
	var types []string
	frames, _ := streamcheck.Frames(raw)
	for _, f := range frames {
		if f.Event != "" {
			types = append(types, f.Event)
		}
	}
	return types
}

// A streamed response, one that is read later, and one that is not streamed are
// the same.
func TestStreams(t *testing.T) {
	t.Parallel()
	streams(t, stack.Start(t))
}

func streams(t *testing.T, s *stack.Stack) {
	function := []stack.Fields{{"type": "function", "name": "ask", "parameters": stack.Fields{"type": "object"}}}
	for name, tt := range map[string]struct {
		plan   mock.Plan
		fields stack.Fields
	}{
		"a text":                 {mock.Plan{Seed: 101, Text: "one two three"}, nil},
		"no text":                {mock.Plan{Seed: 102, Text: " "}, nil},
		"reasoning":              {mock.Plan{Seed: 103, Text: "yes", Reasoning: "let me think"}, nil},
		"tools":                  {mock.Plan{Seed: 104, Rounds: 2, Width: 3}, nil},
		"a tool that fails":      {mock.Plan{Seed: 105, Rounds: 1, Width: 2, ToolFaults: []mock.Fault{{Index: 0, Status: 400}}}, nil},
		"an unknown tool":        {mock.Plan{Seed: 106, Rounds: 1, Width: 2, UnknownTool: "nope"}, nil},
		"the client's function":  {mock.Plan{Seed: 107, Rounds: 1, Tool: "ask"}, stack.Fields{"tools": function}},
		"a call cut off":         {mock.Plan{Seed: 108, Rounds: 1, Width: 2, CutToolCalls: true}, nil},
		"cut off by length":      {mock.Plan{Seed: 109, Text: "one two", FinishReason: "length"}, nil},
		"a model that fails":     {mock.Plan{Seed: 110, ModelFaults: []mock.Fault{{Status: 400}}}, nil},
		"a model tried again":    {mock.Plan{Seed: 111, Rounds: 1, Text: "four five", ModelFaults: []mock.Fault{{Round: 1, Times: 1, Mode: "truncate"}}}, nil},
		"in the background":      {mock.Plan{Seed: 112, Rounds: 1, Text: "later"}, stack.Fields{"background": true}},
		"much in one delta":      {mock.Plan{Seed: 113, Text: string(bytes.Repeat([]byte("x"), 700_000))}, nil},
		"a budget that is spent": {mock.Plan{Seed: 114, Loop: true}, stack.Fields{"max_output_tokens": 16}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := s.Stream(t, tt.plan, tt.fields)
			end := stack.Streamed(t, raw)
			got := s.Get(t, end.ID)
			if diff := cmp.Diff(string(got.JSON), string(end.JSON)); diff != "" {
				t.Errorf("the response is not what its stream ended with (-read +streamed):\n%s", diff)
			}
			again := s.Resume(t, end.ID, -1)
			if !bytes.Equal(streamcheck.Tail(raw, -1), again) {
				t.Errorf("read again, the stream is\n%s\nit was\n%s", again, raw)
			}
			last := len(eventTypes(raw)) - 1
			for _, after := range []int{0, 1, last / 2, last - 1, last, last + 5} {
				want := streamcheck.Tail(raw, int64(after))
				if part := s.Resume(t, end.ID, after); !bytes.Equal(part, want) {
					t.Errorf("resumed after %d, the stream is\n%s\nwant\n%s", after, part, want)
				}
			}
		})
	}
}

// A reader that joins in the middle, with or without a part of the stream, gets
// the same bytes as the first.
func TestStreamsAreFollowedWhileTheyRun(t *testing.T) {
	t.Parallel()
	s := stack.Start(t)
	accepted := s.Background(t, mock.Plan{Seed: 121, Rounds: 2, Width: 2, ToolMS: 300, Text: "a b c"}, stack.Fields{"stream": nil})
	whole := s.Resume(t, accepted.ID, -1) // not streamed: sent at its end
	stack.Streamed(t, whole)
	var running [3]string
	var first [3]chan []byte
	for i := range running {
		first[i] = make(chan []byte, 1)
		id := make(chan string, 1)
		go func() {
			first[i] <- s.StreamFrom(t, mock.Plan{Seed: 130 + int64(i), Rounds: 2, Width: 2, ToolMS: 300, Text: "a b c", TokenRate: 50},
				stack.Fields{"background": true}, id)
		}()
		running[i] = <-id
	}
	for i, id := range running {
		for after := -1; after < 8; after++ {
			t.Run(fmt.Sprintf("%d after %d", i, after), func(t *testing.T) {
				t.Parallel()
				got := s.Resume(t, id, after)
				whole := s.Resume(t, id, -1)
				if want := streamcheck.Tail(whole, int64(after)); !bytes.Equal(streamcheck.Tail(got, -1), want) {
					t.Errorf("the stream is\n%s\nwant\n%s", got, want)
				}
			})
		}
	}
	t.Run("the first reader", func(t *testing.T) {
		for i := range first {
			raw := <-first[i]
			stack.Streamed(t, raw)
			if again := s.Resume(t, running[i], -1); !bytes.Equal(streamcheck.Tail(raw, -1), again) {
				t.Errorf("read again, the stream is\n%s\nit was\n%s", again, raw)
			}
		}
	})
}

func TestTheOrderOfEvents(t *testing.T) {
	t.Parallel()
	s := stack.Start(t)
	raw := s.Stream(t, mock.Plan{Seed: 141, Rounds: 1, Text: "done now"}, stack.Fields{"background": true})
	want := []string{
		"response.created", "response.queued", "response.in_progress",
		"response.output_item.added", "response.mcp_list_tools.in_progress", "response.mcp_list_tools.completed", "response.output_item.done",
		"response.output_item.added", "response.mcp_call.in_progress", "response.mcp_call_arguments.delta",
		"response.mcp_call_arguments.delta", "response.mcp_call_arguments.done", "response.mcp_call.completed", "response.output_item.done",
		"response.output_item.added", "response.content_part.added", "response.output_text.delta", "response.output_text.delta",
		"response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed",
	}
	if diff := cmp.Diff(want, eventTypes(raw)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestACancelEndsTheStream(t *testing.T) {
	t.Parallel()
	s := stack.Start(t)
	id := make(chan string, 1)
	read := make(chan []byte, 1)
	go func() {
		read <- s.StreamFrom(t, mock.Plan{Seed: 151, Text: "a b c d e f g h", TokenRate: 4, Rounds: 0}, stack.Fields{"background": true}, id)
	}()
	s.Cancel(t, <-id)
	end := stack.Streamed(t, <-read)
	if end.Status != "cancelled" {
		t.Errorf("the stream ended with %s, want cancelled", end.JSON)
	}
	var last string
	for _, typ := range eventTypes(s.Resume(t, end.ID, -1)) {
		last = typ
	}
	if last != "response.failed" {
		t.Errorf("the last event is %s, want response.failed", last)
	}
}

func TestUnstoredStreamsCannotBeReadAgain(t *testing.T) {
	t.Parallel()
	s := stack.Start(t)
	end := stack.Streamed(t, s.Stream(t, mock.Plan{Seed: 161, Text: "hush"}, stack.Fields{"store": false}))
	status, text := s.Do(t, "GET", "/v1/responses/"+end.ID+"?stream=true", nil)
	var fault struct{ Error json.RawMessage }
	if err := json.Unmarshal(text, &fault); err != nil || status != 404 {
		t.Errorf("answered %d %s, want 404", status, text)
	}
}

func TestAGetAsksForTheStreamInItsBodyToo(t *testing.T) {
	t.Parallel()
	s := stack.Start(t)
	end := stack.Streamed(t, s.Stream(t, mock.Plan{Seed: 171, Text: "once more"}, nil))
	for name, tt := range map[string]struct {
		query, body string
		events      bool
	}{
		"openai-go's body":      {"", `{"stream":true}`, true},
		"the query has the say": {"?stream=false", `{"stream":true}`, false},
		"a body that says no":   {"", `{"stream":false}`, false},
		"a body of something":   {"", `[1]`, false},
		"a long body":           {"", `{"stream":true` + strings.Repeat(" ", 2000) + `}`, false},
	} {
		status, text := s.Do(t, "GET", "/v1/responses/"+end.ID+tt.query, []byte(tt.body))
		if got := bytes.HasPrefix(text, []byte("event: ")); got != tt.events || status != 200 {
			t.Errorf("%s: answered %d, with events: %v, want %v", name, status, got, tt.events)
		}
	}
}
