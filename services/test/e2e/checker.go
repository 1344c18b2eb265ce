package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/mock"
)

// Run is one request whose id the client received, and its last answer from the
// API.
type Run struct {
	ID       string
	Plan     mock.Plan
	Accepted time.Time
	Ended    time.Time // when its final status was read; zero before
	Object   Object
	Steps    []Step
}

// Object has the fields of a response that the checker reads.
type Object struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	Output []struct {
		Type    string `json:"type"`
		Content []struct {
			Text string `json:"text"`
		} `json:"content"`
	} `json:"output"`
	Usage *Usage `json:"usage"`
}

// Usage is the usage of a response or a step.
type Usage struct {
	InputTokens  int `json:"input_tokens"`
	OutputTokens int `json:"output_tokens"`
}

// Step is a line of the audit trail.
type Step struct {
	Turn    int             `json:"turn"`
	Index   int             `json:"index"`
	Kind    string          `json:"kind"`
	Name    string          `json:"name"`
	State   string          `json:"state"`
	Attempt int             `json:"attempt"`
	CallID  string          `json:"call_id"`
	Usage   *Usage          `json:"usage"`
	Error   json.RawMessage `json:"error"`
}

// Terminal reports whether the status is final.
func (o Object) Terminal() bool {
	return o.Status != "" && o.Status != "queued" && o.Status != "in_progress"
}

// Text returns the model's last text.
func (o Object) Text() string {
	var text strings.Builder
	for _, it := range o.Output {
		if it.Type != "message" {
			continue
		}
		for _, part := range it.Content {
			text.WriteString(part.Text)
		}
	}
	return text.String()
}

// Calls are a ledger's entries by the seed of their run.
type Calls map[int64][]mock.Entry

// Index groups a ledger by runs.
func Index(ledger []mock.Entry) Calls {
	calls := make(Calls)
	for _, e := range ledger {
		calls[e.Seed] = append(calls[e.Seed], e)
	}
	return calls
}

// CheckCompleted checks a run that was not cancelled and joins all faults: the
// run is completed, with the answer of its plan; step rows are unique,
// contiguous and done; every row was called at least once, and every call has a
// row; all calls of a row have the same key, which follows from the row; the
// usage is that of the recorded model calls.
func CheckCompleted(r Run, calls []mock.Entry) error {
	errs := []error{r.checkAnswer(), r.checkSteps(), r.checkCalls(calls), r.checkUsage(calls)}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("run %s, seed %d: %w", r.ID, r.Plan.Seed, err)
	}
	return nil
}

func (r Run) checkAnswer() error {
	if r.Object.Status != "completed" {
		return fmt.Errorf("status is %q, want completed", r.Object.Status)
	}
	if got, want := r.Object.Text(), r.Plan.Answer(); got != want {
		return fmt.Errorf("the answer is %q, want %q", got, want)
	}
	return nil
}

// checkSteps checks that the rows are those of the plan, in order.
func (r Run) checkSteps() error {
	var want []Step
	for turn := 1; turn <= r.Plan.Rounds+1; turn++ {
		want = append(want, Step{Turn: turn, Kind: "model"})
		for i := 1; i <= r.Plan.Width && turn <= r.Plan.Rounds; i++ {
			want = append(want, Step{Turn: turn, Index: i, Kind: "tool"})
		}
	}
	if len(r.Steps) != len(want) {
		return fmt.Errorf("there are %d step rows, want %d", len(r.Steps), len(want))
	}
	for i, s := range r.Steps {
		w := want[i]
		if s.Turn != w.Turn || s.Index != w.Index || s.Kind != w.Kind || s.State != "done" {
			return fmt.Errorf("step row %d is %s %d/%d %s, want %s %d/%d done",
				i, s.Kind, s.Turn, s.Index, s.State, w.Kind, w.Turn, w.Index)
		}
	}
	return nil
}

// place identifies a step in the ledger.
type place struct {
	kind         string
	round, index int
}

func placeOf(e mock.Entry) place { return place{e.Kind, e.Round, e.Index} }

func (s Step) place() place { return place{s.Kind, s.Turn - 1, max(s.Index-1, 0)} }

func (r Run) checkCalls(calls []mock.Entry) error {
	id, err := requestID(r.ID)
	if err != nil {
		return err
	}
	keys := make(map[place]string, len(r.Steps))
	for _, s := range r.Steps {
		keys[s.place()] = run.IdempotencyKey(id, s.Turn, s.Index, s.CallID)
	}
	called := make(map[place]bool, len(keys))
	for _, e := range calls {
		key, recorded := keys[placeOf(e)]
		switch {
		case !recorded:
			return fmt.Errorf("a call of %+v has no step row", placeOf(e))
		case e.IdempotencyKey != key:
			return fmt.Errorf("call %d of %+v has the key %q, want %q", e.Attempt, placeOf(e), e.IdempotencyKey, key)
		}
		called[placeOf(e)] = called[placeOf(e)] || e.Status == 200
	}
	for at := range keys {
		if !called[at] {
			return fmt.Errorf("the step row %+v has no call that was answered", at)
		}
	}
	return nil
}

func (r Run) checkUsage(calls []mock.Entry) error {
	usages := make(map[int]Usage) // every attempt of a round has the same usage
	for _, e := range calls {
		if e.Kind == "model" && e.Status == 200 && !e.Aborted {
			usages[e.Round] = Usage{e.PromptTokens, e.CompletionTokens}
		}
	}
	var sum Usage
	for _, s := range r.Steps {
		if s.Kind != "model" {
			continue
		}
		if s.Usage == nil || *s.Usage != usages[s.Turn-1] {
			return fmt.Errorf("turn %d records the usage %+v, the model answered %+v",
				s.Turn, s.Usage, usages[s.Turn-1])
		}
		sum.InputTokens += s.Usage.InputTokens
		sum.OutputTokens += s.Usage.OutputTokens
	}
	if r.Object.Usage == nil || *r.Object.Usage != sum {
		return fmt.Errorf("usage is %+v, the steps' sum is %+v", r.Object.Usage, sum)
	}
	return nil
}

// CheckCancelled checks the promises of a cancel: the status of its answer is
// final, and no call starts more than grace after the answer.
func CheckCancelled(r Run, status string, answered time.Time, grace time.Duration, calls []mock.Entry) error {
	if r.Object.Status != status {
		return fmt.Errorf("run %s: the cancel answered %q, later the status is %q", r.ID, status, r.Object.Status)
	}
	for _, e := range calls {
		if late := e.Started.Sub(answered); late > grace {
			return fmt.Errorf("run %s: %s call %d/%d started %s after the cancel's answer",
				r.ID, e.Kind, e.Round, e.Index, late)
		}
	}
	return nil
}

// Repeats counts the calls of a kind after the first of each step. A call that
// was answered with an error has to be repeated, and does not count.
func Repeats(kind string, calls []mock.Entry) int {
	n := 0
	seen := make(map[place]bool)
	for _, e := range calls {
		if e.Kind != kind || e.Status >= 400 && !e.Aborted {
			continue
		}
		if seen[placeOf(e)] {
			n++
		}
		seen[placeOf(e)] = true
	}
	return n
}

func requestID(public string) (run.ID, error) {
	id, ok := run.ResponseID.Parse(public)
	if !ok {
		return run.ID{}, fmt.Errorf("id %q is not a response's", public)
	}
	return id, nil
}
