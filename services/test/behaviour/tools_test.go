package behaviour

import (
	"slices"
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/store/keys"
	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
)

// A fault hits call 1 of round 0; its two siblings and the next round must not
// be affected.
func toolFailures(t *testing.T, s *stack.Stack) {
	tests := []struct {
		name    string
		fault   mock.Fault
		tool    string
		lost    bool // the model cannot have the value
		state   string
		code    string // of the step, or of the last failed attempt if the step is done
		attempt int
		calls   int // 0: any number
		output  string
	}{
		{"500 always", mock.Fault{}, "", true, "failed", "http_500", 3, 3, "500"},
		{"500 twice", mock.Fault{Times: 2}, "", false, "done", "http_500", 3, 3, ""},
		{"500 of an idempotent tool", mock.Fault{}, "mock_idempotent", true, "failed", "http_500", 3, 3, "500"},
		{"429 with a wait", mock.Fault{Status: 429, RetryAfter: "1", Times: 1}, "", false, "done", "http_429", 2, 2, ""},
		{"408", mock.Fault{Status: 408, Times: 1}, "", false, "done", "http_408", 2, 2, ""},
		{"404", mock.Fault{Status: 404, Body: "no such thing"}, "", true, "failed", "http_404", 1, 1, "no such thing"},
		{"hangs", mock.Fault{Mode: "hang"}, "", true, "failed", "timeout", 3, 3, "in time"},
		{"hangs once", mock.Fault{Mode: "hang", Times: 1}, "", false, "done", "timeout", 2, 2, ""},
		{"drips", mock.Fault{Mode: "drip"}, "", true, "failed", "timeout", 3, 3, "in time"},
		{"resets", mock.Fault{Mode: "reset"}, "", true, "failed", "connection_error", 3, 0, "closed the connection"},
		{"resets in the middle", mock.Fault{Mode: "reset", Bytes: 10}, "", true, "failed", "connection_error", 3, 3, "closed the connection"},
		{"breaks off", mock.Fault{Mode: "truncate"}, "", true, "failed", "connection_error", 3, 3, "closed the connection"},
		{"redirect loop", mock.Fault{Mode: "redirect"}, "", true, "failed", "redirect_refused", 1, 0, "redirected"},
		{"redirect elsewhere", mock.Fault{Mode: "redirect", Body: "http://169.254.169.254/x"}, "", true, "failed", "address_refused", 1, 1, "may be called"},
		{"too many headers", mock.Fault{Mode: "headers", Bytes: 256 << 10}, "", true, "failed", "connection_error", 3, 3, "not be read"},
		{"NUL", mock.Fault{Mode: "nul"}, "", false, "done", "", 1, 1, `a\u0000b`},
		{"bare NUL", mock.Fault{Status: 200, Body: "a\x00b \xff"}, "", true, "done", "", 1, 1, "a\uFFFDb \uFFFD"},
		{"HTML", mock.Fault{Mode: "html"}, "", true, "done", "", 1, 1, "<!DOCTYPE html>"},
		{"binary", mock.Fault{Mode: "binary"}, "", true, "done", "", 1, 1, "[binary output of type application/octet-stream, 256 bytes, not shown]"},
		{"no content", mock.Fault{Status: 204}, "", true, "done", "", 1, 1, ""},
		{"20 MB", mock.Fault{Mode: "big", Bytes: 20 << 20}, "", false, "done", "", 1, 1, "[output cut after 262144 bytes]"},
		{"without end", mock.Fault{Mode: "big", Bytes: -1}, "", false, "done", "", 1, 1, "[output cut after 262144 bytes]"},
		{"at most once: 500", mock.Fault{}, "mock_once", true, "failed", "http_500", 1, 1, "500"},
		{"at most once: hangs", mock.Fault{Mode: "hang"}, "mock_once", true, "failed", "timeout", 1, 1, "not known whether"},
		{"at most once: resets", mock.Fault{Mode: "reset"}, "mock_once", true, "failed", "connection_error", 1, 1, "not known whether"},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			plan := mock.Plan{Seed: int64(1000 + i), Rounds: 2, Width: 3, Tool: tt.tool, ToolFaults: at(tt.fault)}
			r := s.Ask(t, plan, nil)
			want := plan.Answer()
			if tt.lost {
				want = plan.AnswerIf(only(0, 1))
			}
			completed(t, r, want)
			steps := sound(t, s, r, plan.Seed)
			st := step(t, steps, 1, 2)
			if st.State != tt.state || code(st) != tt.code || st.Attempt != tt.attempt {
				t.Errorf("step is %s (%q) at attempt %d, want %s (%q) at %d", st.State, code(st), st.Attempt, tt.state, tt.code, tt.attempt)
			}
			if output, ok := st.Output.(string); !ok || !strings.Contains(output, tt.output) || len(output) > 300<<10 {
				t.Errorf("step's output is %v, want one with %q", st.Output, tt.output)
			}
			if got := callsAt(s, plan.Seed, 0, 1); tt.calls > 0 && got != tt.calls {
				t.Errorf("the tool was called %d times, want %d", got, tt.calls)
			}
			for _, other := range steps {
				if (other.Turn != 1 || other.Index != 2) && (other.State != "done" || other.Attempt != 1 || other.Error != nil) {
					t.Errorf("step %d.%d is %s at attempt %d with %v: the fault was another's", other.Turn, other.Index, other.State, other.Attempt, other.Error)
				}
			}
		})
	}
}

func toolRetryAfter(t *testing.T, s *stack.Stack) {
	plan := mock.Plan{Seed: 1900, Rounds: 1, Width: 2, ToolFaults: at(mock.Fault{Status: 503, RetryAfter: "2", Times: 1})}
	completed(t, s.Ask(t, plan, nil), plan.Answer())
	var starts []time.Time
	for _, e := range s.Calls("tool", plan.Seed) {
		if e.Index == 1 {
			starts = append(starts, e.Started)
		}
	}
	if len(starts) != 2 || starts[1].Sub(starts[0]) < 2*time.Second || starts[1].Sub(starts[0]) > 6*time.Second {
		t.Errorf("calls at %v, want two, 2 s and little more apart", starts)
	}
}

// Whatever a model writes into a call, the call is answered under its own id
// and the run continues.
func oddCalls(t *testing.T, s *stack.Stack) {
	tests := []struct {
		name   string
		change func(*mock.Plan)
		turn   int // of the checked step, index 1
		code   string
		calls  int // of tools
	}{
		{"unknown tool", func(p *mock.Plan) { p.UnknownTool = "launch_missiles" }, 2, "unknown_tool", 5},
		{"unknown tool with a name that is none", func(p *mock.Plan) { p.UnknownTool = "a\x00b " + strings.Repeat("ü", 500) }, 2, "unknown_tool", 5},
		{"no JSON", func(p *mock.Plan) { p.RawArguments = "{\"seed\": 1, \x00" }, 1, "invalid_arguments", 0},
		{"no object", func(p *mock.Plan) { p.RawArguments = "[1]" }, 1, "invalid_arguments", 0},
		{"schema violated", func(p *mock.Plan) { p.RawArguments = `{"seed":"x","round":0,"index":0}` }, 1, "invalid_arguments", 0},
		{"300 kB", func(p *mock.Plan) { p.Rounds, p.RawArguments = 1, `{"seed":"`+strings.Repeat("x", 300<<10)+`"}` }, 1, "arguments_too_large", 0},
		{"empty arguments", func(p *mock.Plan) { p.EmptyArguments = true }, 1, "invalid_arguments", 0},
		{"duplicate call ids", func(p *mock.Plan) { p.CallIDs = "dup" }, 1, "", 6},
		{"empty call ids", func(p *mock.Plan) { p.CallIDs = "empty" }, 1, "", 6},
		{"reused call ids", func(p *mock.Plan) { p.CallIDs = "reuse" }, 2, "", 6},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			plan := mock.Plan{Seed: int64(2000 + i), Rounds: 2, Width: 3}
			tt.change(&plan)
			r := s.Ask(t, plan, nil)
			completed(t, r, plan.Answer())
			steps := sound(t, s, r, plan.Seed)
			st := step(t, steps, tt.turn, 1)
			state := "failed"
			if tt.code == "" {
				state = "done"
			}
			if st.State != state || code(st) != tt.code {
				t.Errorf("step is %s by %q, want %s by %q", st.State, code(st), state, tt.code)
			}
			if got := len(s.Calls("tool", plan.Seed)); got != tt.calls {
				t.Errorf("tools were called %d times, want %d", got, tt.calls)
			}
			for _, e := range s.Calls("model", plan.Seed) {
				if e.Status != 200 {
					t.Errorf("the model answered %d in round %d", e.Status, e.Round)
				}
			}
		})
	}
}

// Tools that a key may not use are not offered to its models, and not run if
// the models call them.
func toolsOfAKey(t *testing.T, s *stack.Stack) {
	some := s.As(t, "a", func(n *keys.NewKey) { n.Tools = []string{"mock_echo"} })
	r := some.Ask(t, mock.Plan{Seed: 71, Rounds: 1, Width: 2, Tools: []string{"mock_echo", "mock_once"}}, nil)
	var got []string
	for _, step := range some.Steps(t, r.ID) {
		if step.Kind == "tool" {
			got = append(got, step.Name+" "+step.State)
		}
	}
	calls := s.Calls("tool", 71)
	if r.Status != "completed" || !slices.Equal(got, []string{"mock_echo done", "mock_once failed"}) || len(calls) != 1 || calls[0].Tool != "mock_echo" {
		t.Errorf("the response is %s, its steps %v and its calls %+v; want mock_echo called and mock_once refused", r.Status, got, calls)
	}
}
