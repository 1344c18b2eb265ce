package store_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/runtest"
)

func overdueRows(tb testing.TB, s *runtest.World) []run.Row {
	tb.Helper()
	rows, err := s.Overdue(tb.Context(), 100)
	if err != nil {
		tb.Fatal(err)
	}
	return rows
}

// checkIn is how long until the row's next check, by the database's clock.
func checkIn(tb testing.TB, s *runtest.World, id uuid.UUID) time.Duration {
	tb.Helper()
	return postgres.Duration(runtest.Ask[float64](tb, s, `SELECT extract(epoch FROM check_at - now())::float8 FROM requests WHERE id = $1`, id)[0])
}

func alarm(tb testing.TB, s *runtest.World) int64 {
	tb.Helper()
	n, err := s.MakeAllDue(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// untilOverdue waits until the sweep would find the row.
func untilOverdue(t *testing.T, s *runtest.World, id uuid.UUID) run.Row {
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
	s := runtest.Open(t)
	runtest.Accepted(t, s)
	runtest.Settled(t, s, run.Completed, false)
	live := []uuid.UUID{runtest.Claimed(t, s).ID, runtest.InTools(t, s, 1).ID, runtest.InSettle(t, s, run.Failed).ID, runtest.Settled(t, s, run.Cancelled, true).ID}
	if rows := overdueRows(t, s); len(rows) != 0 {
		t.Errorf("overdue before their time: %v", rows)
	}
	if n := alarm(t, s); n != int64(len(live)) {
		t.Errorf("Alarm = %d, want %d", n, len(live))
	}
	got := postgres.Column(overdueRows(t, s), func(r run.Row) uuid.UUID { return r.ID })
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
	s := runtest.Open(t)
	r := runtest.InTools(t, s, 3)
	all := runtest.Results(r)
	all[2].Retry, all[2].Wait = true, time.Hour
	runtest.CommitResults(t, s, all[0], all[2])
	other := runtest.InTools(t, s, 1)
	alarm(t, s)
	for _, got := range overdueRows(t, s) {
		want := []int{1}
		if got.ID == r.ID {
			want = []int{2, 3}
		}
		if diff := cmp.Diff(want, postgres.Column(got.Steps, func(st run.Step) int { return st.Index })); diff != "" {
			t.Errorf("open steps (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(runtest.Look(t, s, got.ID), got, asRead, cmpopts.IgnoreFields(run.Step{}, "DueIn", "Age")); diff != "" {
			t.Errorf("Look (-) and Overdue (+) differ:\n%s", diff)
		}
	}
	if got := runtest.Look(t, s, other.ID).Steps[0]; string(got.Input) != string(other.Steps[0].Input) || got.Pool != "default" {
		t.Errorf("the open step is %+v, want what was asked for", got)
	}
}

func TestParkedTurnBecomesDue(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	parked := runtest.Claimed(t, s)
	held, err := s.RetryTurn(t.Context(), runtest.FenceOf(parked), time.Hour, "busy")
	if err != nil {
		t.Fatal(err)
	}
	alarm(t, s)
	if got := untilOverdue(t, s, parked.ID); got.Next() != run.WaitUntil || got.Failures != 1 || got.Attempt != 2 {
		t.Errorf("a parked row that was alarmed: %+v, want attempt 2 that waits", got)
	}
	if err := s.Postpone(t.Context(), overdueRows(t, s)); err != nil {
		t.Fatal(err)
	}

	runtest.Commit(t, s, held, run.TurnCommit{}) // by a worker that saw no reason to wait
	if got := runtest.Look(t, s, held.ID); got.Next() != run.RunTurn || got.Turn != 2 {
		t.Errorf("the turn after a parked one is %+v, want it due", got)
	}

	soon := runtest.Claimed(t, s)
	before := time.Now()
	r, err := s.RetryTurn(t.Context(), runtest.FenceOf(soon), 300*time.Millisecond, map[string]string{"code": "busy"})
	if err != nil || r.Next() != run.WaitUntil {
		t.Fatalf("RetryTurn = %+v, %v; want a row that waits", r, err)
	}
	got := untilOverdue(t, s, soon.ID)
	if waited := time.Since(before); waited < 290*time.Millisecond || got.Next() != run.RunTurn || got.Attempt != 2 {
		t.Errorf("after %s: %+v, want attempt 2 due after 300 ms", waited, got)
	}
	if st := runtest.Steps(t, s, soon.ID)[0]; string(st.Error) != `{"code":"busy"}` || st.Attempt != 2 || st.State != run.StepDispatched {
		t.Errorf("the step is %+v, want the failure beside it", st)
	}
	next := runtest.Commit(t, s, got, run.TurnCommit{})
	if next.Failures != 0 || runtest.Look(t, s, next.ID).Next() != run.RunTurn {
		t.Errorf("the next turn is %+v, want it due without failures", next)
	}
}

func TestParkedToolBecomesDue(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	r := runtest.InTools(t, s, 2)
	failed := runtest.Results(r)[0]
	failed.Retry, failed.Wait = true, 300*time.Millisecond
	runtest.CommitResults(t, s, failed)
	if in := checkIn(t, s, r.ID); in > failed.Wait {
		t.Errorf("next check in %s, want it when the step is due", in)
	}
	got := untilOverdue(t, s, r.ID)
	if got.Next() != run.RunTools || len(got.Steps) != 2 || got.Steps[0].DueIn != 0 || got.Steps[0].Attempt != 2 {
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
			s := runtest.Open(t)
			r := runtest.InTools(t, s, 2)
			if tt.retryIn > 0 {
				failed := runtest.Results(r)[0]
				failed.Retry, failed.Wait = true, tt.retryIn
				runtest.CommitResults(t, s, failed)
			}
			runtest.Exec(t, s, `UPDATE requests SET changed_at = now() - make_interval(secs => $1)`, tt.unmoved.Seconds())
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
	s := runtest.Open(t)
	for _, tt := range []struct {
		name string
		row  func() run.Row
		move func(run.Row)
	}{
		{"turn committed", func() run.Row { return runtest.Claimed(t, s) }, func(r run.Row) { runtest.Commit(t, s, r, run.TurnCommit{Steps: runtest.NewSteps(1)}) }},
		{"turn committed, and due again", func() run.Row { return runtest.Claimed(t, s) }, func(r run.Row) {
			runtest.Commit(t, s, r, run.TurnCommit{})
			alarm(t, s)
		}},
		{"attempt raised", func() run.Row { return runtest.Claimed(t, s) }, func(r run.Row) {
			if _, err := s.Raise(t.Context(), runtest.FenceOf(r), run.NoBlame, 0); err != nil {
				t.Fatal(err)
			}
		}},
		{"cancelled", func() run.Row { return runtest.InTools(t, s, 1) }, func(r run.Row) { runtest.Settle(t, s, r, run.Cancelled, true) }},
		{"done with", func() run.Row { return runtest.InSettle(t, s, run.Completed) }, func(r run.Row) { runtest.Settle(t, s, r, run.Completed, false) }},
	} {
		r := tt.row()
		alarm(t, s)
		rows := slices.DeleteFunc(overdueRows(t, s), func(o run.Row) bool { return o.ID != r.ID })
		tt.move(r)
		before := runtest.Dump(t, s)
		if err := s.Postpone(t.Context(), rows); err != nil || len(rows) != 1 {
			t.Fatalf("%s: postpone %v: %v", tt.name, rows, err)
		}
		if diff := cmp.Diff(before, runtest.Dump(t, s)); diff != "" {
			t.Errorf("%s: Postpone wrote (-before +after):\n%s", tt.name, diff)
		}
	}
}

// A step that was parked after the sweep had read its row is not slept through.
func TestPostponeSeesWhatWasParkedMeanwhile(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	r := runtest.InTools(t, s, 2)
	runtest.Exec(t, s, `UPDATE requests SET changed_at = now() - interval '1 hour'`)
	alarm(t, s)
	rows := overdueRows(t, s)
	failed := runtest.Results(r)[0]
	failed.Retry, failed.Wait = true, time.Second
	runtest.CommitResults(t, s, failed)
	if err := s.Postpone(t.Context(), rows); err != nil || len(rows) != 1 {
		t.Fatalf("postpone %v: %v", rows, err)
	}
	if got := checkIn(t, s, r.ID); got <= 0 || got > time.Second {
		t.Errorf("next check in %s, want it when the parked step is due, within a second", got)
	}
}

// Statements over many rows lock them in one order, so that none is ever chosen
// as a deadlock's victim.
func TestSweepBesideResultsDoesNotDeadlock(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	var parked []store.ToolResult
	for range 60 {
		o := runtest.Results(runtest.InTools(t, s, 1))[0]
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
			if _, err := s.MakeAllDue(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		for range 30 {
			rows, err := s.Overdue(t.Context(), 100)
			slices.SortFunc(rows, func(a, b run.Row) int { return slices.Compare(b.ID[:], a.ID[:]) })
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
	s := runtest.Open(t)
	runtest.Accepted(t, s)
	runtest.Claimed(t, s)
	runtest.Settled(t, s, run.Expired, true)
	want := []uuid.UUID{runtest.Accepted(t, s, runtest.Overdue), runtest.Claimed(t, s, runtest.Overdue).ID, runtest.InTools(t, s, 1, runtest.Overdue).ID}
	got, err := s.PastDeadline(t.Context(), 10)
	byText := cmpopts.SortSlices(func(a, b uuid.UUID) bool { return a.String() < b.String() })
	if diff := cmp.Diff(want, got, byText); diff != "" || err != nil {
		t.Errorf("Overtime: %v (-want +got):\n%s", err, diff)
	}
	for _, id := range got {
		runtest.Settle(t, s, run.Row{ID: id}, run.Expired, false)
	}
	if got, err := s.PastDeadline(t.Context(), 10); len(got) != 0 || err != nil {
		t.Errorf("Overtime after they were settled = %v, %v; want none", got, err)
	}
	if done, err := s.Answers.Finished(t.Context(), append(want, uuid.New())); len(done) != len(want) || err != nil {
		t.Errorf("Finished = %v, %v; want %v", done, err, want)
	}
}

func TestOldestLiveAge(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	runtest.Accepted(t, s)
	oldest := func() time.Duration {
		age, err := s.OldestLiveAge(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return age
	}
	if got := oldest(); got > time.Minute {
		t.Errorf("with nothing live the oldest is %s old, want now", got)
	}
	r := runtest.InSettle(t, s, run.Completed)
	runtest.Exec(t, s, `UPDATE requests SET created_at = now() - interval '1 hour'`)
	if got := oldest(); got < 59*time.Minute {
		t.Errorf("the oldest live request is %s old, want an hour", got)
	}
	runtest.Settle(t, s, r, run.Completed, false)
	if got := oldest(); got > time.Minute {
		t.Errorf("after its end the oldest is %s old, want now", got)
	}
}

func TestRowsThatDoNotExist(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	if _, err := s.Look(t.Context(), uuid.New()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Look = %v, want ErrNotFound", err)
	}
	if _, err := s.Load(t.Context(), uuid.New()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Load = %v, want ErrNotFound", err)
	}
	if _, err := s.Load(t.Context(), runtest.Accepted(t, s)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Load of a queued request = %v, want ErrNotFound", err)
	}
	if all, err := s.Steps(t.Context(), "eve", runtest.Claimed(t, s).ID); len(all) != 0 || err != nil {
		t.Errorf("Steps for another tenant = %v, %v; want none", all, err)
	}
	if err := s.Finish(t.Context(), uuid.New()); err != nil {
		t.Errorf("Finish of an unknown request: %v", err)
	}
}

func TestLoadRebuildsTheChain(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	r := runtest.Claimed(t, s)
	r = runtest.Commit(t, s, r, run.TurnCommit{Output: []byte("first"), Steps: runtest.NewSteps(2), InputTokens: 5})
	r = runtest.CommitResults(t, s, runtest.Results(r)...)[0]
	r = runtest.Commit(t, s, r, run.TurnCommit{Output: []byte("second"), Steps: runtest.NewSteps(1)})
	chain, err := s.Load(t.Context(), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	type line struct {
		Turn, Index int
		State       run.StepState
		Output      string
	}
	got := postgres.Column(chain.Steps, func(st run.Step) line { return line{st.Turn, st.Index, st.State, string(st.Output)} })
	want := []line{
		{1, 0, run.StepDone, "first"},
		{1, 1, run.StepDone, "found"},
		{1, 2, run.StepDone, "found"},
		{2, 0, run.StepDone, "second"},
		{2, 1, run.StepDispatched, ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("chain (-want +got):\n%s", diff)
	}
	if string(chain.Body) != string(runtest.NewRequest().Body) {
		t.Errorf("body %q, want what was accepted", chain.Body)
	}
	if diff := cmp.Diff(runtest.Look(t, s, r.ID), chain.Row, asRead); diff != "" {
		t.Errorf("Look (-) and Load (+) differ:\n%s", diff)
	}
}
