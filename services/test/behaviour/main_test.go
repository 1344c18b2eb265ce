// Package behaviour tests the promises of a whole Windlass, as its clients and
// upstreams observe them.
package behaviour

import (
	"flag"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // the cases wait, for time-outs and Retry-After, far more than they work
		panic(err)
	}
	stack.Main(m)
}

// TestPromises runs the cases that need no budgets of their own on one stack.
func TestPromises(t *testing.T) {
	t.Parallel()
	capture := newCapture(t)
	s := stack.Start(t, models(t), capture.option)
	for name, group := range map[string]func(*testing.T, *stack.Stack){
		"a tool's failure is data":                toolFailures,
		"a tool is left alone as long as it asks": toolRetryAfter,
		"the model's odd calls":                   oddCalls,
		"the upstream's failures":                 upstreamFailures,
		"credentials stay secret":                 secrecy,
		"the upstream is left alone too":          upstreamRetryAfter,
		"an answer that was cut":                  cutAnswers,
		"an answer that ended oddly":              oddEnd,
		"the client's functions":                  clientFunctions,
		"tool_choice":                             allowedTools,
		"what the upstream gets":                  capture.cases,
		"responses that continue each other":      capture.chains,
		"conversations":                           capture.conversations,
		"lists of tools":                          capture.lists,
		"histories that are made shorter":         capture.compactions,
		"tokens that are counted":                 capture.countedTokens,
		"histories that are shortened when asked": capture.triggered,
		"histories that shorten themselves":       capture.shortened,
		"the tools of a key":                      toolsOfAKey,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			group(t, s)
		})
	}
}

// completed fails the test unless the response completed with this text.
func completed(tb testing.TB, r stack.Response, text string) {
	tb.Helper()
	if r.Status != "completed" || r.Text() != text {
		tb.Errorf("response is %s with %q, want completed with %q\n%s", r.Status, r.Text(), text, excerpt(r.JSON))
	}
}

// ended fails the test unless the response ended with this status, and this
// reason or error code.
func ended(tb testing.TB, r stack.Response, status, why string) {
	tb.Helper()
	got := ""
	switch {
	case r.Error != nil:
		got = r.Error.Code
	case r.Incomplete != nil:
		got = r.Incomplete.Reason
	}
	if r.Status != status || got != why {
		tb.Errorf("response is %s by %q, want %s by %q\n%s", r.Status, got, status, why, excerpt(r.JSON))
	}
}

func excerpt(text []byte) string { return string(text[:min(len(text), 4000)]) }

// step finds a line of the audit trail.
func step(tb testing.TB, steps []stack.Step, turn, index int) stack.Step {
	tb.Helper()
	for _, s := range steps {
		if s.Turn == turn && s.Index == index {
			return s
		}
	}
	tb.Fatalf("no step %d.%d in %+v", turn, index, steps)
	return stack.Step{}
}

// code returns the error's code, "" without an error.
func code(s stack.Step) string {
	if s.Error == nil {
		return ""
	}
	return s.Error.Code
}

// sound checks what must be true of every run: the calls of tools and model are
// those of the audit trail, each under its one idempotency key, and every call
// is an output item.
func sound(tb testing.TB, s *stack.Stack, r stack.Response, seed int64) []stack.Step {
	tb.Helper()
	steps := s.Steps(tb, r.ID)
	id, err := run.ParseHex(strings.TrimPrefix(r.ID, "resp_"))
	if err != nil {
		tb.Fatal(err)
	}
	turns, places := map[string]int{}, map[string][2]int{} // by key
	var hosted []stack.Step
	var ids []string
	for _, st := range steps {
		if st.Kind == "tool" {
			hosted = append(hosted, st)
			ids = append(ids, *st.CallID)
			turns[run.IdempotencyKey(id, st.Turn, st.Index, *st.CallID)] = st.Turn
		}
	}
	if slices.Sort(ids); len(slices.Compact(ids)) != len(turns) {
		tb.Errorf("call ids are not unique: %q", ids)
	}
	for _, e := range s.Calls("tool", seed) {
		at := [2]int{e.Round + 1, e.Index}
		if before, again := places[e.IdempotencyKey]; again && before != at || turns[e.IdempotencyKey] != at[0] {
			tb.Errorf("call %v came with the key %s, of turn %d and of call %v", at, e.IdempotencyKey, turns[e.IdempotencyKey], before)
		}
		for key, place := range places {
			if place == at && key != e.IdempotencyKey {
				tb.Errorf("call %v came with the keys %s and %s", at, key, e.IdempotencyKey)
			}
		}
		places[e.IdempotencyKey] = at
	}
	for _, e := range s.Calls("model", seed) {
		if key := run.IdempotencyKey(id, e.Round+1, 0, ""); e.IdempotencyKey != key {
			tb.Errorf("model call of round %d came with the key %s, want %s", e.Round, e.IdempotencyKey, key)
		}
	}
	sameCalls(tb, r, hosted)
	return steps
}

// sameCalls compares the mcp_call items with the tool steps: an item has an
// output or an error, never both.
func sameCalls(tb testing.TB, r stack.Response, steps []stack.Step) {
	tb.Helper()
	calls := r.Calls("mcp_call")
	if len(calls) != len(steps) {
		tb.Fatalf("%d mcp_call items of %d tool steps", len(calls), len(steps))
	}
	for i, c := range calls {
		st, failed := steps[i], string(c.Error) != "null"
		status := "completed"
		if st.State == "failed" {
			status = "failed"
		}
		if failed != (st.State == "failed") || failed == (c.Output != nil) || c.Status != status {
			tb.Errorf("call %d is %s with error %s, its step is %s", i, c.Status, c.Error, st.State)
		}
		arguments := strings.ReplaceAll(c.Arguments, "\x00", "\uFFFD") // the audit trail's replacement
		if c.Name != st.Name || arguments != st.Input || c.ServerLabel != "windlass" {
			tb.Errorf("call %d is %s of %s (%s), its step %s (%s)", i, c.Name, c.ServerLabel, c.Arguments, st.Name, st.Input)
		}
		if failed && !strings.Contains(string(c.Error), `"mcp_tool_execution_error"`) {
			tb.Errorf("call %d has the error %s", i, c.Error)
		}
	}
}

// callsAt counts the tool's calls at one place.
func callsAt(s *stack.Stack, seed int64, round, index int) int {
	n := 0
	for _, e := range s.Calls("tool", seed) {
		if e.Round == round && e.Index == index {
			n++
		}
	}
	return n
}

func equal(tb testing.TB, what string, want, got any) {
	tb.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func only(round, index int) func(int, int) bool {
	return func(r, i int) bool { return r == round && i == index }
}

func at(f mock.Fault) []mock.Fault {
	f.Index = 1
	return []mock.Fault{f}
}
