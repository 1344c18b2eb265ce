package store

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// place is a state a request may be in; the operations below are tried from each.
type place struct {
	name string
	row  func(t *testing.T, s *Store) Row
}

func places() []place {
	in := []place{
		{"queued", func(t *testing.T, s *Store) Row { return look(t, s, accepted(t, s)) }},
		{"queued overdue", func(t *testing.T, s *Store) Row { return look(t, s, accepted(t, s, overdue)) }},
		{"model", func(t *testing.T, s *Store) Row { return claimed(t, s) }},
		{"model overdue", func(t *testing.T, s *Store) Row { return claimed(t, s, overdue) }},
		{"tools", func(t *testing.T, s *Store) Row { return inTools(t, s, 2) }},
		{"tools overdue", func(t *testing.T, s *Store) Row { return inTools(t, s, 2, overdue) }},
	}
	for _, outcome := range []Status{Completed, Incomplete, Failed} {
		in = append(in, place{"settle " + string(outcome), func(t *testing.T, s *Store) Row { return inSettle(t, s, outcome) }})
	}
	for _, end := range []Status{Completed, Incomplete, Failed, Cancelled, Expired} {
		in = append(in,
			place{string(end), func(t *testing.T, s *Store) Row { return settled(t, s, end, false) }},
			place{string(end) + " live", func(t *testing.T, s *Store) Row { return settled(t, s, end, true) }})
	}
	return in
}

// operation is a write under the row's own fence, and the places it may leave.
type operation struct {
	name string
	do   func(t *testing.T, s *Store, r Row) error
	from []string
}

func operations() []operation {
	settleAs := func(status Status, from ...string) operation {
		return operation{"settle as " + string(status), func(t *testing.T, s *Store, r Row) error {
			return s.Settle(t.Context(), Settlement{
				ID: r.ID, Tenant: r.Tenant, Epoch: r.Epoch, Status: status, Answer: []byte("{}"), AfterWork: true,
			})
		}, from}
	}
	running := []string{"model", "model overdue"}
	return []operation{
		{"commit turn", func(t *testing.T, s *Store, r Row) error {
			_, err := s.CommitTurn(t.Context(), r, TurnCommit{Fence: fenceOf(r), Steps: newSteps(2), Output: []byte("x")})
			return err
		}, running},
		{"raise", func(t *testing.T, s *Store, r Row) error {
			_, err := s.Raise(t.Context(), fenceOf(r), true)
			return err
		}, running},
		{"retry turn", func(t *testing.T, s *Store, r Row) error {
			_, err := s.RetryTurn(t.Context(), fenceOf(r), time.Second, "busy")
			return err
		}, running},
		{"commit results", func(t *testing.T, s *Store, r Row) error {
			of := r
			of.Steps = nil
			for _, n := range newSteps(2) {
				of.Steps = append(of.Steps, Step{Turn: max(r.Turn, 1), Index: n.Index, Attempt: 1, CallID: n.CallID, InputHash: n.InputHash})
			}
			rows, err := s.CommitResults(t.Context(), results(of))
			if err == nil && len(rows) == 0 {
				err = ErrStale
			}
			return err
		}, []string{"tools", "tools overdue"}},
		settleAs(Completed, "settle completed"),
		settleAs(Incomplete, "settle incomplete"),
		settleAs(Failed, "settle completed", "settle incomplete", "settle failed"), // an answer may be impossible to assemble
		settleAs(Cancelled, "queued", "queued overdue", "model", "model overdue", "tools", "tools overdue",
			"settle completed", "settle incomplete", "settle failed"),
		settleAs(Expired, "queued overdue", "model overdue", "tools overdue"),
		{"finish", func(t *testing.T, s *Store, r Row) error {
			if err := s.Finish(t.Context(), r.ID); err != nil {
				return err
			}
			if after := look(t, s, r.ID); !r.Live || after.Live {
				return ErrStale
			}
			return nil
		}, []string{"completed live", "incomplete live", "failed live", "cancelled live", "expired live"}},
	}
}

// Every write is tried from every place: it either may leave it, or writes nothing at all.
func TestTransitions(t *testing.T) {
	t.Parallel()
	for _, op := range operations() {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			for _, from := range places() {
				r := from.row(t, s)
				before := dump(t, s)
				err := op.do(t, s, r)
				changed := before != dump(t, s)
				if slices.Contains(op.from, from.name) {
					if err != nil || !changed {
						t.Errorf("from %s: error %v, written %v; want it done", from.name, err, changed)
					}
					continue
				}
				if !errors.Is(err, ErrStale) || changed {
					t.Errorf("from %s: error %v, written %v; want ErrStale and nothing written", from.name, err, changed)
				}
			}
		})
	}
}

func TestTerminalRowKeepsItsStatus(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, end := range []Status{Completed, Incomplete, Failed, Cancelled, Expired} {
		r := settled(t, s, end, true)
		for _, op := range operations() {
			if err := op.do(t, s, r); err != nil && !errors.Is(err, ErrStale) {
				t.Errorf("%s of a %s row: %v", op.name, end, err)
			}
		}
		if _, err := s.Alarm(t.Context()); err != nil {
			t.Error(err)
		}
		if err := s.Postpone(t.Context(), []Row{r}); err != nil {
			t.Error(err)
		}
		after := look(t, s, r.ID)
		after.Live = r.Live // finish is after-work, and done by the list above
		if diff := cmp.Diff(r, after, asRead); diff != "" {
			t.Errorf("a %s row changed (-before +after):\n%s", end, diff)
		}
	}
}

func TestWrongFenceWritesNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	r := claimed(t, s)
	r2, err := s.Raise(t.Context(), fenceOf(r), false) // so that an older attempt exists
	if err != nil {
		t.Fatal(err)
	}
	before := dump(t, s)
	for _, tt := range []struct {
		name   string
		change func(*Fence)
	}{
		{"older epoch", func(f *Fence) { f.Epoch-- }},
		{"newer epoch", func(f *Fence) { f.Epoch++ }},
		{"older turn", func(f *Fence) { f.Turn-- }},
		{"newer turn", func(f *Fence) { f.Turn++ }},
		{"older attempt", func(f *Fence) { f.Attempt-- }},
		{"newer attempt", func(f *Fence) { f.Attempt++ }},
		{"unknown request", func(f *Fence) { f.ID = uuid.New() }},
	} {
		f := fenceOf(r2)
		tt.change(&f)
		_, err := s.CommitTurn(t.Context(), r2, TurnCommit{Fence: f, Steps: newSteps(2), Output: []byte("x")})
		wantStale(t, tt.name+": CommitTurn", err)
		_, err = s.Raise(t.Context(), f, true)
		wantStale(t, tt.name+": Raise", err)
		_, err = s.RetryTurn(t.Context(), f, time.Second, "busy")
		wantStale(t, tt.name+": RetryTurn", err)
		if diff := cmp.Diff(before, dump(t, s)); diff != "" {
			t.Fatalf("%s: rows were written (-before +after):\n%s", tt.name, diff)
		}
	}
}

func TestForeignResultsWriteNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	r := inTools(t, s, 3)
	commitResults(t, s, results(r)[2]) // so that a turned step exists
	before := dump(t, s)
	for _, tt := range []struct {
		name   string
		change func(*ToolResult)
	}{
		{"older epoch", func(o *ToolResult) { o.Epoch-- }},
		{"newer epoch", func(o *ToolResult) { o.Epoch++ }},
		{"older turn", func(o *ToolResult) { o.Turn-- }},
		{"newer turn", func(o *ToolResult) { o.Turn++ }},
		{"the model call's index", func(o *ToolResult) { o.Index = 0 }},
		{"another call's index", func(o *ToolResult) { o.Index = 2 }},
		{"unknown index", func(o *ToolResult) { o.Index = 9 }},
		{"older attempt", func(o *ToolResult) { o.Attempt-- }},
		{"newer attempt", func(o *ToolResult) { o.Attempt++ }},
		{"another call id", func(o *ToolResult) { o.CallID = "call_9" }},
		{"another input", func(o *ToolResult) { o.InputHash = []byte("hash") }},
		{"no hash of the input", func(o *ToolResult) { o.InputHash = nil }},
		{"unknown request", func(o *ToolResult) { o.ID = uuid.New() }},
		{"turned before", func(o *ToolResult) { *o = results(r)[2] }},
		{"turned before, now a retry", func(o *ToolResult) { *o = results(r)[2]; o.Retry = true }},
	} {
		o := results(r)[0]
		tt.change(&o)
		if rows := commitResults(t, s, o, o); len(rows) != 0 {
			t.Errorf("%s: reported %v, want nothing", tt.name, rows)
		}
		if diff := cmp.Diff(before, dump(t, s)); diff != "" {
			t.Fatalf("%s: rows were written (-before +after):\n%s", tt.name, diff)
		}
	}
}

func TestForeignSettlementsWriteNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	r := inSettle(t, s, Completed)
	before := dump(t, s)
	own := Settlement{ID: r.ID, Tenant: r.Tenant, Epoch: r.Epoch, Status: Completed, Answer: []byte("{}")}
	for _, tt := range []struct {
		name   string
		change func(*Settlement)
	}{
		{"older epoch", func(o *Settlement) { o.Epoch-- }},
		{"newer epoch", func(o *Settlement) { o.Epoch++ }},
		{"another outcome than decided", func(o *Settlement) { o.Status = Incomplete }},
		{"unknown request", func(o *Settlement) { o.ID = uuid.New() }},
		{"cancelled by another tenant", func(o *Settlement) { o.Status, o.Tenant = Cancelled, "eve" }},
		{"expired before its deadline", func(o *Settlement) { o.Status = Expired }},
		{"back to the queue", func(o *Settlement) { o.Status = Queued }},
		{"still in progress", func(o *Settlement) { o.Status = InProgress }},
	} {
		o := own
		tt.change(&o)
		wantStale(t, tt.name, s.Settle(t.Context(), o))
		if diff := cmp.Diff(before, dump(t, s)); diff != "" {
			t.Fatalf("%s: rows were written (-before +after):\n%s", tt.name, diff)
		}
	}
}
