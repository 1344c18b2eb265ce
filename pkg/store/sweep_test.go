package store

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/store/postgres"
)

func overdueRows(tb testing.TB, s *Store) []Row {
	tb.Helper()
	rows, err := s.Overdue(tb.Context(), 100)
	if err != nil {
		tb.Fatal(err)
	}
	return rows
}

// checkIn is how long until the row's next check, by the database's clock.
func checkIn(tb testing.TB, s *Store, id uuid.UUID) time.Duration {
	tb.Helper()
	return postgres.Duration(ask[float64](tb, s, `SELECT extract(epoch FROM check_at - now())::float8 FROM requests WHERE id = $1`, id)[0])
}

func alarm(tb testing.TB, s *Store) int64 {
	tb.Helper()
	n, err := s.Alarm(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// untilOverdue waits until the sweep would find the row.
func untilOverdue(t *testing.T, s *Store, id uuid.UUID) Row {
	t.Helper()
	limit := time.After(10 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, r := range overdueRows(t, s) {
			if r.ID == id {
				return r
			}
		}
		select {
		case <-limit:
			t.Fatalf("%s is not overdue after 10 s; its check is in %s", id, checkIn(t, s, id))
		case <-tick.C:
		}
	}
}

func TestAlarmMakesLiveRowsDue(t *testing.T) {
	t.Parallel()
	s := open(t)
	accepted(t, s)
	settled(t, s, Completed, false)
	live := []uuid.UUID{claimed(t, s).ID, inTools(t, s, 1).ID, inSettle(t, s, Failed).ID, settled(t, s, Cancelled, true).ID}
	if rows := overdueRows(t, s); len(rows) != 0 {
		t.Errorf("overdue before their time: %v", rows)
	}
	if n := alarm(t, s); n != int64(len(live)) {
		t.Errorf("Alarm = %d, want %d", n, len(live))
	}
	got := postgres.Column(overdueRows(t, s), func(r Row) uuid.UUID { return r.ID })
	byText := cmpopts.SortSlices(func(a, b uuid.UUID) bool { return a.String() < b.String() })
	if diff := cmp.Diff(live, got, byText); diff != "" {
		t.Errorf("overdue after the alarm (-want +got):\n%s", diff)
	}
	if two, err := s.Overdue(t.Context(), 2); len(two) != 2 || err != nil {
		t.Errorf("Overdue(2) = %d rows, %v; want 2", len(two), err)
	}
}

func TestOverdueBringsOpenSteps(t *testing.T) {
	t.Parallel()
	s := open(t)
	r := inTools(t, s, 3)
	all := results(r)
	all[2].Retry, all[2].Wait = true, time.Hour
	commitResults(t, s, all[0], all[2])
	other := inTools(t, s, 1)
	alarm(t, s)
	for _, got := range overdueRows(t, s) {
		want := []int{1}
		if got.ID == r.ID {
			want = []int{2, 3}
		}
		if diff := cmp.Diff(want, postgres.Column(got.Steps, func(st Step) int { return st.Index })); diff != "" {
			t.Errorf("open steps (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(look(t, s, got.ID), got, asRead, cmpopts.IgnoreFields(Step{}, "DueIn")); diff != "" {
			t.Errorf("Look (-) and Overdue (+) differ:\n%s", diff)
		}
	}
	if got := look(t, s, other.ID).Steps[0]; string(got.Input) != string(other.Steps[0].Input) || got.Pool != "default" {
		t.Errorf("the open step is %+v, want what was asked for", got)
	}
}

func TestParkedTurnBecomesDue(t *testing.T) {
	t.Parallel()
	s := open(t)
	parked := claimed(t, s)
	held, err := s.RetryTurn(t.Context(), fenceOf(parked), time.Hour, "busy")
	if err != nil {
		t.Fatal(err)
	}
	alarm(t, s)
	if got := untilOverdue(t, s, parked.ID); got.Next() != WaitUntil || got.Failures != 1 || got.Attempt != 2 {
		t.Errorf("a parked row that was alarmed: %+v, want attempt 2 that waits", got)
	}
	if err := s.Postpone(t.Context(), overdueRows(t, s)); err != nil {
		t.Fatal(err)
	}

	commit(t, s, held, TurnCommit{}) // by a worker that saw no reason to wait
	if got := look(t, s, held.ID); got.Next() != RunTurn || got.Turn != 2 {
		t.Errorf("the turn after a parked one is %+v, want it due", got)
	}

	soon := claimed(t, s)
	before := time.Now()
	r, err := s.RetryTurn(t.Context(), fenceOf(soon), 300*time.Millisecond, map[string]string{"code": "busy"})
	if err != nil || r.Next() != WaitUntil {
		t.Fatalf("RetryTurn = %+v, %v; want a row that waits", r, err)
	}
	got := untilOverdue(t, s, soon.ID)
	if waited := time.Since(before); waited < 290*time.Millisecond || got.Next() != RunTurn || got.Attempt != 2 {
		t.Errorf("after %s: %+v, want attempt 2 due after 300 ms", waited, got)
	}
	if st := steps(t, s, soon.ID)[0]; string(st.Error) != `{"code":"busy"}` || st.Attempt != 2 || st.State != StepDispatched {
		t.Errorf("the step is %+v, want the failure beside it", st)
	}
	next := commit(t, s, got, TurnCommit{})
	if next.Failures != 0 || look(t, s, next.ID).Next() != RunTurn {
		t.Errorf("the next turn is %+v, want it due without failures", next)
	}
}

func TestParkedToolBecomesDue(t *testing.T) {
	t.Parallel()
	s := open(t)
	r := inTools(t, s, 2)
	failed := results(r)[0]
	failed.Retry, failed.Wait = true, 300*time.Millisecond
	commitResults(t, s, failed)
	if in := checkIn(t, s, r.ID); in > failed.Wait {
		t.Errorf("next check in %s, want it when the step is due", in)
	}
	got := untilOverdue(t, s, r.ID)
	if got.Next() != RunTools || len(got.Steps) != 2 || got.Steps[0].DueIn != 0 || got.Steps[0].Attempt != 2 {
		t.Errorf("overdue %+v, want its first step due at attempt 2", got)
	}
}

func TestPostpone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		unmoved  time.Duration // since the row last changed
		retryIn  time.Duration // a step parked for that long, if any
		min, max time.Duration
	}{
		{"a row that just moved is looked at again soon", 0, 0, 3 * time.Second, 6 * time.Second},
		{"the wait doubles", 12 * time.Second, 0, 11 * time.Second, 14 * time.Second},
		{"the wait ends at half a minute", time.Hour, 0, 29 * time.Second, 30 * time.Second},
		{"a parked step is not slept through", time.Hour, 2 * time.Second, time.Second, 2 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			r := inTools(t, s, 2)
			if tt.retryIn > 0 {
				failed := results(r)[0]
				failed.Retry, failed.Wait = true, tt.retryIn
				commitResults(t, s, failed)
			}
			exec(t, s, `UPDATE requests SET changed_at = now() - make_interval(secs => $1)`, tt.unmoved.Seconds())
			alarm(t, s)
			if err := s.Postpone(t.Context(), overdueRows(t, s)); err != nil {
				t.Fatal(err)
			}
			if got := checkIn(t, s, r.ID); got < tt.min || got > tt.max {
				t.Errorf("next check in %s, want %s to %s", got, tt.min, tt.max)
			}
		})
	}
}

func TestPostponeLeavesRowsThatMovedOn(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, tt := range []struct {
		name string
		row  func() Row
		move func(Row)
	}{
		{"turn committed", func() Row { return claimed(t, s) }, func(r Row) { commit(t, s, r, TurnCommit{Steps: newSteps(1)}) }},
		{"turn committed, and due again", func() Row { return claimed(t, s) }, func(r Row) {
			commit(t, s, r, TurnCommit{})
			alarm(t, s)
		}},
		{"attempt raised", func() Row { return claimed(t, s) }, func(r Row) {
			if _, err := s.Raise(t.Context(), fenceOf(r), false); err != nil {
				t.Fatal(err)
			}
		}},
		{"cancelled", func() Row { return inTools(t, s, 1) }, func(r Row) { settle(t, s, r, Cancelled, true) }},
		{"done with", func() Row { return inSettle(t, s, Completed) }, func(r Row) { settle(t, s, r, Completed, false) }},
	} {
		r := tt.row()
		alarm(t, s)
		rows := slices.DeleteFunc(overdueRows(t, s), func(o Row) bool { return o.ID != r.ID })
		tt.move(r)
		before := dump(t, s)
		if err := s.Postpone(t.Context(), rows); err != nil || len(rows) != 1 {
			t.Fatalf("%s: postpone %v: %v", tt.name, rows, err)
		}
		if diff := cmp.Diff(before, dump(t, s)); diff != "" {
			t.Errorf("%s: Postpone wrote (-before +after):\n%s", tt.name, diff)
		}
	}
}

// A step that was parked after the sweep had read its row is not slept through.
func TestPostponeSeesWhatWasParkedMeanwhile(t *testing.T) {
	t.Parallel()
	s := open(t)
	r := inTools(t, s, 2)
	exec(t, s, `UPDATE requests SET changed_at = now() - interval '1 hour'`)
	alarm(t, s)
	rows := overdueRows(t, s)
	failed := results(r)[0]
	failed.Retry, failed.Wait = true, time.Second
	commitResults(t, s, failed)
	if err := s.Postpone(t.Context(), rows); err != nil || len(rows) != 1 {
		t.Fatalf("postpone %v: %v", rows, err)
	}
	if got := checkIn(t, s, r.ID); got <= 0 || got > time.Second {
		t.Errorf("next check in %s, want it when the parked step is due, within a second", got)
	}
}

// Statements over many rows lock them in one order, so that none is ever chosen as a deadlock's victim.
func TestSweepBesideResultsDoesNotDeadlock(t *testing.T) {
	t.Parallel()
	s := open(t)
	var parked []ToolResult
	for range 60 {
		o := results(inTools(t, s, 1))[0]
		o.Retry = true
		parked = append(parked, o)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 30 {
			if _, err := s.CommitResults(t.Context(), parked); err != nil {
				t.Error(err)
			}
			for i := range parked {
				parked[i].Attempt++
			}
		}
	})
	wg.Go(func() {
		for range 30 {
			if _, err := s.Alarm(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		for range 30 {
			rows, err := s.Overdue(t.Context(), 100)
			slices.SortFunc(rows, func(a, b Row) int { return slices.Compare(b.ID[:], a.ID[:]) })
			if err == nil {
				err = s.Postpone(t.Context(), rows)
			}
			if err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
}

func TestOvertime(t *testing.T) {
	t.Parallel()
	s := open(t)
	accepted(t, s)
	claimed(t, s)
	settled(t, s, Expired, true)
	want := []uuid.UUID{accepted(t, s, overdue), claimed(t, s, overdue).ID, inTools(t, s, 1, overdue).ID}
	got, err := s.Overtime(t.Context(), 10)
	byText := cmpopts.SortSlices(func(a, b uuid.UUID) bool { return a.String() < b.String() })
	if diff := cmp.Diff(want, got, byText); diff != "" || err != nil {
		t.Errorf("Overtime: %v (-want +got):\n%s", err, diff)
	}
	for _, id := range got {
		settle(t, s, Row{ID: id}, Expired, false)
	}
	if got, err := s.Overtime(t.Context(), 10); len(got) != 0 || err != nil {
		t.Errorf("Overtime after they were settled = %v, %v; want none", got, err)
	}
	if done, err := s.Finished(t.Context(), append(want, uuid.New())); len(done) != len(want) || err != nil {
		t.Errorf("Finished = %v, %v; want %v", done, err, want)
	}
}

func TestOldestLive(t *testing.T) {
	t.Parallel()
	s := open(t)
	accepted(t, s)
	oldest := func() time.Duration {
		at, err := s.OldestLive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return ask[time.Time](t, s, `SELECT now()`)[0].Sub(at)
	}
	if got := oldest(); got > time.Minute {
		t.Errorf("with nothing live the oldest is %s old, want now", got)
	}
	r := inSettle(t, s, Completed)
	exec(t, s, `UPDATE requests SET created_at = now() - interval '1 hour'`)
	if got := oldest(); got < 59*time.Minute {
		t.Errorf("the oldest live request is %s old, want an hour", got)
	}
	settle(t, s, r, Completed, false)
	if got := oldest(); got > time.Minute {
		t.Errorf("after its end the oldest is %s old, want now", got)
	}
}

func TestRowsThatDoNotExist(t *testing.T) {
	t.Parallel()
	s := open(t)
	if _, err := s.Look(t.Context(), uuid.New()); !errors.Is(err, ErrNotFound) {
		t.Errorf("Look = %v, want ErrNotFound", err)
	}
	if _, err := s.Load(t.Context(), uuid.New()); !errors.Is(err, ErrNotFound) {
		t.Errorf("Load = %v, want ErrNotFound", err)
	}
	if _, err := s.Load(t.Context(), accepted(t, s)); !errors.Is(err, ErrNotFound) {
		t.Errorf("Load of a queued request = %v, want ErrNotFound", err)
	}
	if all, err := s.Steps(t.Context(), "eve", claimed(t, s).ID); len(all) != 0 || err != nil {
		t.Errorf("Steps for another tenant = %v, %v; want none", all, err)
	}
	if err := s.Finish(t.Context(), uuid.New()); err != nil {
		t.Errorf("Finish of an unknown request: %v", err)
	}
}

func TestLoadRebuildsTheChain(t *testing.T) {
	t.Parallel()
	s := open(t)
	r := claimed(t, s)
	r = commit(t, s, r, TurnCommit{Output: []byte("first"), Steps: newSteps(2), InputTokens: 5})
	r = commitResults(t, s, results(r)...)[0]
	r = commit(t, s, r, TurnCommit{Output: []byte("second"), Steps: newSteps(1)})
	chain, err := s.Load(t.Context(), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	type line struct {
		Turn, Index int
		State       StepState
		Output      string
	}
	got := postgres.Column(chain.Steps, func(st Step) line { return line{st.Turn, st.Index, st.State, string(st.Output)} })
	want := []line{
		{1, 0, StepDone, "first"},
		{1, 1, StepDone, "found"},
		{1, 2, StepDone, "found"},
		{2, 0, StepDone, "second"},
		{2, 1, StepDispatched, ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("chain (-want +got):\n%s", diff)
	}
	if string(chain.Body) != string(newRequest().Body) {
		t.Errorf("body %q, want what was accepted", chain.Body)
	}
	if diff := cmp.Diff(look(t, s, r.ID), chain.Row, asRead); diff != "" {
		t.Errorf("Look (-) and Load (+) differ:\n%s", diff)
	}
}
