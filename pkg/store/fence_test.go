package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/runtest"
)

// place is a state a request may be in; the operations below are tried from
// each.
type place struct {
	name string
	row  func(t *testing.T, s *runtest.World) run.Row
}

func places() []place {
	in := []place{
		{"queued", func(t *testing.T, s *runtest.World) run.Row { return runtest.Look(t, s, runtest.Accepted(t, s)) }},
		{"queued overdue", func(t *testing.T, s *runtest.World) run.Row {
			return runtest.Look(t, s, runtest.Accepted(t, s, runtest.Overdue))
		}},
		{"model", func(t *testing.T, s *runtest.World) run.Row { return runtest.Claimed(t, s) }},
		{"model overdue", func(t *testing.T, s *runtest.World) run.Row { return runtest.Claimed(t, s, runtest.Overdue) }},
		{"tools", func(t *testing.T, s *runtest.World) run.Row { return runtest.InTools(t, s, 2) }},
		{"tools overdue", func(t *testing.T, s *runtest.World) run.Row { return runtest.InTools(t, s, 2, runtest.Overdue) }},
	}
	for _, outcome := range []run.Status{run.Completed, run.Incomplete, run.Failed} {
		in = append(in, place{"settle " + string(outcome), func(t *testing.T, s *runtest.World) run.Row { return runtest.InSettle(t, s, outcome) }})
	}
	for _, end := range []run.Status{run.Completed, run.Incomplete, run.Failed, run.Cancelled, run.Expired} {
		in = append(in,
			place{string(end), func(t *testing.T, s *runtest.World) run.Row { return runtest.Settled(t, s, end, false) }},
			place{string(end) + " live", func(t *testing.T, s *runtest.World) run.Row { return runtest.Settled(t, s, end, true) }})
	}
	return in
}

// operation is a write under the row's own fence, and the places it may leave.
type operation struct {
	name string
	do   func(t *testing.T, s *runtest.World, r run.Row) error
	from []string
}

func operations() []operation {
	settleAs := func(status run.Status, from ...string) operation {
		return operation{"settle as " + string(status), func(t *testing.T, s *runtest.World, r run.Row) error {
			return s.Settle(t.Context(), store.Settlement{
				ID: r.ID, Tenant: r.Tenant, Epoch: r.Epoch, Status: status, Answer: []byte("{}"), AfterWork: true,
			})
		}, from}
	}
	running := []string{"model", "model overdue"}
	return []operation{
		{"commit turn", func(t *testing.T, s *runtest.World, r run.Row) error {
			_, err := s.CommitTurn(t.Context(), r, run.TurnCommit{Fence: runtest.FenceOf(r), Steps: runtest.NewSteps(2), Output: []byte("x")})
			return err
		}, running},
		{"raise", func(t *testing.T, s *runtest.World, r run.Row) error {
			_, err := s.Raise(t.Context(), runtest.FenceOf(r), run.Suspected, 0)
			return err
		}, running},
		{"retry turn", func(t *testing.T, s *runtest.World, r run.Row) error {
			_, err := s.RetryTurn(t.Context(), runtest.FenceOf(r), time.Second, "busy")
			return err
		}, running},
		{"commit results", func(t *testing.T, s *runtest.World, r run.Row) error {
			of := r
			of.Steps = nil
			for _, n := range runtest.NewSteps(2) {
				of.Steps = append(of.Steps, run.Step{Turn: max(r.Turn, 1), Index: n.Index, Attempt: 1, CallID: n.CallID, InputHash: n.InputHash})
			}
			rows, err := s.CommitResults(t.Context(), runtest.Results(of))
			if err == nil && len(rows) == 0 {
				err = store.ErrStale
			}
			return err
		}, []string{"tools", "tools overdue"}},
		settleAs(run.Completed, "settle completed"),
		settleAs(run.Incomplete, "settle incomplete"),
		settleAs(run.Failed, "settle completed", "settle incomplete", "settle failed"), // an answer may be impossible to assemble
		settleAs(run.Cancelled, "queued", "queued overdue", "model", "model overdue", "tools", "tools overdue",
			"settle completed", "settle incomplete", "settle failed"),
		settleAs(run.Expired, "queued overdue", "model overdue", "tools overdue"),
		{"finish", func(t *testing.T, s *runtest.World, r run.Row) error {
			if err := s.Finish(t.Context(), r.ID); err != nil {
				return err
			}
			if after := runtest.Look(t, s, r.ID); !r.Live || after.Live {
				return store.ErrStale
			}
			return nil
		}, []string{"completed live", "incomplete live", "failed live", "cancelled live", "expired live"}},
	}
}

// Every write is tried from every place: it either may leave it, or writes
// nothing at all.
func TestTransitions(t *testing.T) {
	t.Parallel()
	for _, op := range operations() {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			s := runtest.Open(t)
			for _, from := range places() {
				r := from.row(t, s)
				before := runtest.Dump(t, s)
				err := op.do(t, s, r)
				changed := before != runtest.Dump(t, s)
				if slices.Contains(op.from, from.name) {
					if err != nil || !changed {
						t.Errorf("from %s: error %v, written %v; want it done", from.name, err, changed)
					}
					continue
				}
				if !errors.Is(err, store.ErrStale) || changed {
					t.Errorf("from %s: error %v, written %v; want ErrStale and nothing written", from.name, err, changed)
				}
			}
		})
	}
}

func TestTerminalRowKeepsItsStatus(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	for _, end := range []run.Status{run.Completed, run.Incomplete, run.Failed, run.Cancelled, run.Expired} {
		r := runtest.Settled(t, s, end, true)
		for _, op := range operations() {
			if err := op.do(t, s, r); err != nil && !errors.Is(err, store.ErrStale) {
				t.Errorf("%s of a %s row: %v", op.name, end, err)
			}
		}
		if _, err := s.MakeAllDue(t.Context()); err != nil {
			t.Error(err)
		}
		if err := s.Postpone(t.Context(), []run.Row{r}); err != nil {
			t.Error(err)
		}
		after := runtest.Look(t, s, r.ID)
		after.Live = r.Live // finish is after-work, and done by the list above
		if diff := cmp.Diff(r, after, asRead); diff != "" {
			t.Errorf("a %s row changed (-before +after):\n%s", end, diff)
		}
	}
}

func TestWrongFenceWritesNothing(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	r := runtest.Claimed(t, s)
	r2, err := s.Raise(t.Context(), runtest.FenceOf(r), run.NoBlame, 0) // so that an older attempt exists
	if err != nil {
		t.Fatal(err)
	}
	before := runtest.Dump(t, s)
	for _, tt := range []struct {
		name   string
		change func(*run.Fence)
	}{
		{"older epoch", func(f *run.Fence) { f.Epoch-- }},
		{"newer epoch", func(f *run.Fence) { f.Epoch++ }},
		{"older turn", func(f *run.Fence) { f.Turn-- }},
		{"newer turn", func(f *run.Fence) { f.Turn++ }},
		{"older attempt", func(f *run.Fence) { f.Attempt-- }},
		{"newer attempt", func(f *run.Fence) { f.Attempt++ }},
		{"unknown request", func(f *run.Fence) { f.ID = uuid.New() }},
	} {
		f := runtest.FenceOf(r2)
		tt.change(&f)
		_, err := s.CommitTurn(t.Context(), r2, run.TurnCommit{Fence: f, Steps: runtest.NewSteps(2), Output: []byte("x")})
		wantStale(t, tt.name+": CommitTurn", err)
		_, err = s.Raise(t.Context(), f, run.Suspected, 0)
		wantStale(t, tt.name+": Raise", err)
		_, err = s.RetryTurn(t.Context(), f, time.Second, "busy")
		wantStale(t, tt.name+": RetryTurn", err)
		if diff := cmp.Diff(before, runtest.Dump(t, s)); diff != "" {
			t.Fatalf("%s: rows were written (-before +after):\n%s", tt.name, diff)
		}
	}
}

func TestForeignResultsWriteNothing(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	r := runtest.InTools(t, s, 3)
	runtest.CommitResults(t, s, runtest.Results(r)[2]) // so that a turned step exists
	before := runtest.Dump(t, s)
	for _, tt := range []struct {
		name   string
		change func(*store.ToolResult)
	}{
		{"older epoch", func(o *store.ToolResult) { o.Epoch-- }},
		{"newer epoch", func(o *store.ToolResult) { o.Epoch++ }},
		{"older turn", func(o *store.ToolResult) { o.Turn-- }},
		{"newer turn", func(o *store.ToolResult) { o.Turn++ }},
		{"the model call's index", func(o *store.ToolResult) { o.Index = 0 }},
		{"another call's index", func(o *store.ToolResult) { o.Index = 2 }},
		{"unknown index", func(o *store.ToolResult) { o.Index = 9 }},
		{"older attempt", func(o *store.ToolResult) { o.Attempt-- }},
		{"newer attempt", func(o *store.ToolResult) { o.Attempt++ }},
		{"another call id", func(o *store.ToolResult) { o.CallID = "call_9" }},
		{"another input", func(o *store.ToolResult) { o.InputHash = []byte("hash") }},
		{"no hash of the input", func(o *store.ToolResult) { o.InputHash = nil }},
		{"unknown request", func(o *store.ToolResult) { o.ID = uuid.New() }},
		{"turned before", func(o *store.ToolResult) { *o = runtest.Results(r)[2] }},
		{"turned before, now a retry", func(o *store.ToolResult) { *o = runtest.Results(r)[2]; o.Retry = true }},
	} {
		o := runtest.Results(r)[0]
		tt.change(&o)
		if rows := runtest.CommitResults(t, s, o, o); len(rows) != 0 {
			t.Errorf("%s: reported %v, want nothing", tt.name, rows)
		}
		if diff := cmp.Diff(before, runtest.Dump(t, s)); diff != "" {
			t.Fatalf("%s: rows were written (-before +after):\n%s", tt.name, diff)
		}
	}
}

func TestForeignSettlementsWriteNothing(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	r := runtest.InSettle(t, s, run.Completed)
	before := runtest.Dump(t, s)
	own := store.Settlement{ID: r.ID, Tenant: r.Tenant, Epoch: r.Epoch, Status: run.Completed, Answer: []byte("{}")}
	for _, tt := range []struct {
		name   string
		change func(*store.Settlement)
	}{
		{"older epoch", func(o *store.Settlement) { o.Epoch-- }},
		{"newer epoch", func(o *store.Settlement) { o.Epoch++ }},
		{"another outcome than decided", func(o *store.Settlement) { o.Status = run.Incomplete }},
		{"unknown request", func(o *store.Settlement) { o.ID = uuid.New() }},
		{"cancelled by another tenant", func(o *store.Settlement) { o.Status, o.Tenant = run.Cancelled, "eve" }},
		{"expired before its deadline", func(o *store.Settlement) { o.Status = run.Expired }},
		{"back to the queue", func(o *store.Settlement) { o.Status = run.Queued }},
		{"still in progress", func(o *store.Settlement) { o.Status = run.InProgress }},
	} {
		o := own
		tt.change(&o)
		wantStale(t, tt.name, s.Settle(t.Context(), o))
		if diff := cmp.Diff(before, runtest.Dump(t, s)); diff != "" {
			t.Fatalf("%s: rows were written (-before +after):\n%s", tt.name, diff)
		}
	}
}
