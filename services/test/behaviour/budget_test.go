package behaviour

import (
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
)

func TestBudgets(t *testing.T) {
	t.Parallel()
	s := stack.Start(t, stack.Limits(registry.Limits{
		MaxTurns: 4, MaxToolCalls: 8, MaxParallelToolCalls: 4, MaxTokens: 40_000, MaxOutputBytes: 50_000,
	}))
	tests := []struct {
		name   string
		plan   mock.Plan
		fields stack.Fields
		reason string                      // why it is incomplete; "" if it completed
		failed func(round, index int) bool // the calls that failed for the model, if the response completed
		code   string                      // of those calls, or of the calls that were not made
		calls  int                         // of tools
		turns  int                         // of the model
	}{
		{"within all", mock.Plan{Rounds: 2, Width: 4}, nil, "", nil, "", 8, 3},
		{
			"the request's tool calls",
			mock.Plan{Rounds: 2, Width: 3},
			stack.Fields{"max_tool_calls": 2},
			"", func(round, index int) bool { return round > 0 || index > 1 }, "max_tool_calls", 2, 3,
		},
		{
			"the server's tool calls",
			mock.Plan{Rounds: 3, Width: 4},
			stack.Fields{"max_tool_calls": 100},
			"", func(round, _ int) bool { return round > 1 }, "max_tool_calls", 8, 4,
		},
		{
			"calls at once",
			mock.Plan{Rounds: 1, Width: 6},
			nil,
			"", func(_, index int) bool { return index > 3 }, "too_many_parallel_calls", 4, 2,
		},
		{"turns", mock.Plan{Loop: true, Width: 2}, nil, "max_turns", nil, "max_turns", 6, 4},
		{"tokens", mock.Plan{Rounds: 3, ToolBytes: 200_000}, nil, "max_tokens", nil, "max_tokens", 1, 2},
		{"output bytes", mock.Plan{Rounds: 2, Width: 2, ToolBytes: 30_000}, nil, "max_output_bytes", nil, "max_output_bytes", 2, 2},
		{
			"output tokens",
			mock.Plan{Rounds: 3, Width: 3, Reasoning: strings.Repeat("hm ", 10)},
			stack.Fields{"max_output_tokens": 20},
			"max_output_tokens", nil, "max_output_tokens", 3, 2,
		},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.plan.Seed = int64(5000 + i)
			r := s.Ask(t, tt.plan, tt.fields)
			steps := sound(t, s, r, tt.plan.Seed)
			if tt.reason != "" {
				ended(t, r, "incomplete", tt.reason)
			} else {
				completed(t, r, tt.plan.AnswerIf(tt.failed))
			}
			turns, made := 0, 0
			for _, st := range steps {
				switch {
				case st.Kind == "model":
					turns++
				case st.State == "done":
					made++
				case code(st) != tt.code:
					t.Errorf("step %d.%d failed by %q, want %q", st.Turn, st.Index, code(st), tt.code)
				}
			}
			if calls := len(s.Calls("tool", tt.plan.Seed)); calls != tt.calls || made != tt.calls || turns != tt.turns {
				t.Errorf("%d calls (%d done) in %d turns, want %d in %d", calls, made, turns, tt.calls, tt.turns)
			}
		})
	}
}

func TestTheDeadline(t *testing.T) {
	t.Parallel()
	const deadline = 2 * time.Second
	s := stack.Start(t, stack.Limits(registry.Limits{Deadline: deadline}), func(file *registry.File, _ string) {
		file.Models[0].Timeout = time.Minute
		for i := range file.Tools {
			file.Tools[i].Timeout = time.Minute
		}
	})
	tests := []struct {
		name string
		plan mock.Plan
		code string
	}{
		{"in a model call", mock.Plan{ThinkMS: 60_000}, "deadline_exceeded"},
		{"in a tool call", mock.Plan{Rounds: 1, ToolMS: 60_000}, "deadline_exceeded"},
		{"in a tool's wait", mock.Plan{Rounds: 1, Width: 2, ToolFaults: at(mock.Fault{Status: 503, RetryAfter: "60"})}, "deadline_exceeded"},
		{"sooner than the upstream can be asked again", mock.Plan{ModelFaults: []mock.Fault{{Round: -1, Status: 503, RetryAfter: "60"}}}, "server_error"},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.plan.Seed = int64(6000 + i)
			began := time.Now()
			r := s.Ask(t, tt.plan, nil)
			ended(t, r, "failed", tt.code)
			if took := time.Since(began); took > deadline+3*time.Second {
				t.Errorf("it took %v, want at most 3 s more than %v", took, deadline)
			}
			if again := s.Get(t, r.ID); string(again.JSON) != string(r.JSON) {
				t.Errorf("GET shows\n%s\nafter\n%s", again.JSON, r.JSON)
			}
		})
	}
}
