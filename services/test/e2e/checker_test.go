//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/mock"
)

// good returns a run of one round and two tools without faults, and its calls.
func good(t *testing.T) (Run, []mock.Entry) {
	t.Helper()
	r := Run{ID: "resp_" + strings.Repeat("0a", 16), Plan: mock.Plan{Seed: 7, Rounds: 1, Width: 2}}
	id, err := requestID(r.ID)
	if err != nil {
		t.Fatal(err)
	}
	r.Object.Status, r.Object.Usage = "completed", &Usage{30, 3}
	r.Object.Output = append(r.Object.Output, struct {
		Type    string `json:"type"`
		Content []struct {
			Text string `json:"text"`
		} `json:"content"`
	}{"message", []struct {
		Text string `json:"text"`
	}{{r.Plan.Answer()}}})
	r.Steps = []Step{
		{Turn: 1, Kind: "model", State: "done", Usage: &Usage{10, 1}},
		{Turn: 1, Index: 1, Kind: "tool", State: "done", CallID: "a"},
		{Turn: 1, Index: 2, Kind: "tool", State: "done", CallID: "b"},
		{Turn: 2, Kind: "model", State: "done", Usage: &Usage{20, 2}},
	}
	var calls []mock.Entry
	for _, s := range r.Steps {
		e := mock.Entry{
			Kind: s.Kind, Seed: 7, Round: s.Turn - 1, Index: max(s.Index-1, 0), Status: 200,
			IdempotencyKey: run.IdempotencyKey(id, s.Turn, s.Index, s.CallID),
		}
		if s.Usage != nil {
			e.PromptTokens, e.CompletionTokens = s.Usage.InputTokens, s.Usage.OutputTokens
		}
		calls = append(calls, e)
	}
	return r, calls
}

func TestCheckerFindsWhatIsBroken(t *testing.T) {
	t.Parallel()
	r, calls := good(t)
	if err := CheckCompleted(r, append(calls, calls[1])); err != nil { // a repeated call is no fault
		t.Fatalf("the checker refuses a good run: %v", err)
	}
	tests := map[string]func(r *Run, calls *[]mock.Entry){
		"another status":       func(r *Run, _ *[]mock.Entry) { r.Object.Status = "failed" },
		"still in progress":    func(r *Run, _ *[]mock.Entry) { r.Object.Status = "in_progress" },
		"another answer":       func(r *Run, _ *[]mock.Entry) { r.Plan.Seed++ },
		"a missing row":        func(r *Run, _ *[]mock.Entry) { r.Steps = slices.Delete(r.Steps, 1, 2) },
		"a duplicate row":      func(r *Run, _ *[]mock.Entry) { r.Steps = slices.Insert(r.Steps, 1, r.Steps[1]) },
		"a row twice":          func(r *Run, _ *[]mock.Entry) { r.Steps[2] = r.Steps[1] },
		"a row that is undone": func(r *Run, _ *[]mock.Entry) { r.Steps[2].State = "dispatched" },
		"a step never called":  func(_ *Run, calls *[]mock.Entry) { *calls = slices.Delete(*calls, 1, 2) },
		"a step not answered":  func(_ *Run, calls *[]mock.Entry) { (*calls)[1].Status = 0 },
		"another key":          func(_ *Run, calls *[]mock.Entry) { *calls = append(*calls, changed((*calls)[1])) },
		"a call without a row": func(_ *Run, calls *[]mock.Entry) { *calls = append(*calls, mock.Entry{Kind: "tool", Round: 1}) },
		"usage counted twice":  func(r *Run, _ *[]mock.Entry) { r.Object.Usage = &Usage{40, 4} },
		"a step's usage":       func(r *Run, _ *[]mock.Entry) { r.Steps[0].Usage = &Usage{11, 1} },
	}
	for name, breakIt := range tests {
		r, calls := good(t)
		breakIt(&r, &calls)
		if CheckCompleted(r, calls) == nil {
			t.Errorf("the checker does not find %s", name)
		}
	}
}

func changed(e mock.Entry) mock.Entry {
	e.IdempotencyKey += "x"
	return e
}

func TestCheckerFindsBrokenCancels(t *testing.T) {
	t.Parallel()
	r, calls := good(t)
	at := time.Now()
	r.Object.Status, calls[3].Started = "cancelled", at.Add(time.Second)
	if err := CheckCancelled(r, "cancelled", at, 2*time.Second, calls); err != nil {
		t.Errorf("the checker refuses a good cancel: %v", err)
	}
	if CheckCancelled(r, "completed", at, 2*time.Second, calls) == nil {
		t.Error("the checker does not find a status that changed")
	}
	if CheckCancelled(r, "cancelled", at, time.Second/2, calls) == nil {
		t.Error("the checker does not find a late start")
	}
}

func TestPauses(t *testing.T) {
	t.Parallel()
	began := time.Now()
	at := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
	r := Run{Accepted: at(0), Ended: at(30)}
	calls := []mock.Entry{
		{Started: at(1), Ended: at(4)}, {Started: at(2), Ended: at(3)}, // one within the other
		{Started: at(10), Ended: at(20)}, // 6 s after the last one, 4 of them in an outage
		{Started: at(22), Ended: at(29)},
	}
	outages := []Outage{{"a", at(5), at(8)}, {"b", at(12), at(15)}, {"c", at(24), at(25)}}
	got := Pauses(r, calls, outages)
	want := []Pause{
		{From: at(0), Took: time.Second},
		{From: at(8), Took: 2 * time.Second, After: "a"},
		{From: at(20), Took: 2 * time.Second},
		{From: at(29), Took: time.Second},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("pauses are %v, want %v", got, want)
	}
}

func TestRepeatsAndOpenCalls(t *testing.T) {
	t.Parallel()
	_, calls := good(t)
	refused := calls[2]
	refused.Status = 503
	if n := Repeats("tool", append(calls, calls[1], calls[1], calls[0], refused)); n != 2 {
		t.Errorf("%d repeats, want 2", n)
	}
	now := time.Now()
	open := []mock.Entry{
		{Kind: "tool", Started: now.Add(-time.Minute)},                                    // still open
		{Kind: "tool", Started: now.Add(-time.Minute), Ended: now.Add(-time.Second)},      // ended
		{Kind: "tool", Started: now.Add(-time.Minute), Ended: now.Add(-time.Second / 20)}, // ended a moment ago
		{Kind: "tool", Started: now.Add(time.Second)},                                     // later
		{Kind: "model", Started: now.Add(-time.Minute)},
	}
	if n := OpenAt("tool", now, 100*time.Millisecond, open); n != 2 {
		t.Errorf("%d open calls, want 2", n)
	}
}
