package store_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/runtest"
)

// Every result arrives two or three times, in groups that mix requests, from
// eight sides at once.
func TestFanInCountsEachStepOnce(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	var all []store.ToolResult
	rows := make(map[uuid.UUID]run.Row)
	for _, n := range []int{128, 17, 5, 1, 1} {
		r := runtest.InTools(t, s, n)
		rows[r.ID] = r
		for _, o := range runtest.Results(r) {
			for range 2 + rand.N(2) {
				all = append(all, o)
			}
		}
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })

	groups := make(chan []store.ToolResult)
	var mu sync.Mutex
	reported := make(map[uuid.UUID]int)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for group := range groups {
				moved, err := s.CommitResults(t.Context(), group)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				for _, r := range moved {
					reported[r.ID]++
				}
				mu.Unlock()
			}
		})
	}
	for len(all) > 0 {
		n := min(1+rand.N(20), len(all))
		groups <- all[:n]
		all = all[n:]
	}
	close(groups)
	wg.Wait()

	for id, r := range rows {
		if reported[id] != 1 {
			t.Errorf("the row with %d calls was reported %d times, want once", len(r.Steps), reported[id])
		}
		got := runtest.Look(t, s, id)
		if got.Pending != 0 || got.Stage != run.StageModel || got.Turn != 2 || got.Attempt != 1 || got.Next() != run.RunTurn {
			t.Errorf("after %d results: %+v, want turn 2 due", len(r.Steps), got)
		}
		states := map[string]int{}
		for _, st := range runtest.Steps(t, s, id) {
			states[st.Kind+" "+string(st.State)]++
		}
		want := map[string]int{"model done": 1, "tool done": len(r.Steps), "model dispatched": 1}
		if diff := cmp.Diff(want, states); diff != "" {
			t.Errorf("steps (-want +got):\n%s", diff)
		}
	}
}

func TestResultsReportTheRowTheyMoved(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	r := runtest.InTools(t, s, 2)
	all := runtest.Results(r)
	all[1].Output, all[1].Error = []byte("timed out\x00"), []byte(`{"code":"timeout"}`)
	if rows := runtest.CommitResults(t, s, all[0]); len(rows) != 0 {
		t.Errorf("the first of two results reported %v, want nothing", rows)
	}
	if got := runtest.Look(t, s, r.ID); got.Pending != 1 || len(got.Steps) != 1 || got.Steps[0].Index != 2 {
		t.Errorf("after the first result: pending %d, open steps %+v; want 1 and the second", got.Pending, got.Steps)
	}
	rows := runtest.CommitResults(t, s, all[1])
	if len(rows) != 1 {
		t.Fatalf("the last result reported %v, want the row", rows)
	}
	if diff := cmp.Diff(runtest.Look(t, s, r.ID), rows[0], asRead); diff != "" {
		t.Errorf("the row read (-) and the row reported (+) differ:\n%s", diff)
	}
	got := runtest.Steps(t, s, r.ID)
	if got[1].State != run.StepDone || got[1].Error != nil || got[1].Took != time.Millisecond || got[1].FinishedAt == nil {
		t.Errorf("the step that answered: %+v", got[1])
	}
	if got[2].State != run.StepFailed || string(got[2].Output) != string(all[1].Output) || string(got[2].Error) != string(all[1].Error) {
		t.Errorf("the step that failed: %+v", got[2])
	}
	before := runtest.Dump(t, s)
	if rows := runtest.CommitResults(t, s, all...); len(rows) != 0 {
		t.Errorf("results of a turn that is over reported %v, want nothing", rows)
	}
	if diff := cmp.Diff(before, runtest.Dump(t, s)); diff != "" {
		t.Errorf("results of a turn that is over wrote (-before +after):\n%s", diff)
	}
}

func TestResultsSettleWhenAnOutcomeIsDecided(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	r := runtest.Commit(t, s, runtest.Claimed(t, s), run.TurnCommit{Steps: runtest.NewSteps(2), Outcome: run.Completed})
	rows := runtest.CommitResults(t, s, runtest.Results(r)...)
	if len(rows) != 1 || rows[0].Next() != run.RunFinal || rows[0].Turn != 1 || rows[0].Outcome != run.Completed || rows[0].Pending != 0 {
		t.Errorf("reported %+v, want the row due to settle as completed at turn 1", rows)
	}
	if got := len(runtest.Steps(t, s, r.ID)); got != 3 {
		t.Errorf("%d steps, want the 3 of the only turn", got)
	}
	runtest.Settle(t, s, rows[0], run.Completed, false)
}

func TestResultRetriedThenAnswered(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	r := runtest.InTools(t, s, 2)
	all := runtest.Results(r)
	failed := all[0]
	failed.Retry, failed.Wait, failed.Error = true, time.Hour, []byte(`{"code":"busy"}`)
	if rows := runtest.CommitResults(t, s, failed, failed, all[1]); len(rows) != 0 {
		t.Errorf("a retry and an answer reported %v, want nothing", rows)
	}
	got := runtest.Look(t, s, r.ID)
	if got.Pending != 1 || len(got.Steps) != 1 || got.Steps[0].Attempt != 2 || string(got.Steps[0].Error) != string(failed.Error) {
		t.Errorf("after the retry: %+v, want the first step open at attempt 2", got)
	}
	if due := got.Steps[0].DueIn; due < 59*time.Minute || due > time.Hour {
		t.Errorf("the retried step is due in %s, want an hour", due)
	}
	if rows := runtest.CommitResults(t, s, all[0]); len(rows) != 0 {
		t.Errorf("a late answer of the first attempt reported %v, want nothing", rows)
	}
	rows := runtest.CommitResults(t, s, runtest.ResultOf(got, got.Steps[0]))
	if len(rows) != 1 || rows[0].Next() != run.RunTurn || rows[0].Turn != 2 {
		t.Errorf("the second attempt's answer reported %v, want turn 2", rows)
	}
	if st := runtest.Steps(t, s, r.ID)[1]; st.State != run.StepDone || st.Attempt != 2 || st.DueIn != 0 {
		t.Errorf("the step is %+v, want done at attempt 2", st)
	}
}

// The old attempt of a turn loses to the raised one, whether they meet in one
// statement or in two.
func TestOnlyTheRaisedAttemptCommits(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	for i := range 30 {
		before := runtest.Claimed(t, s)
		raised, err := s.Raise(t.Context(), runtest.FenceOf(before), run.Blame(i%2), 0)
		if err != nil {
			t.Fatal(err)
		}
		old := run.TurnCommit{Fence: runtest.FenceOf(before), Output: []byte("old"), Steps: runtest.NewSteps(1)}
		own := run.TurnCommit{Fence: runtest.FenceOf(raised), Output: []byte("own"), Steps: runtest.NewSteps(3)}
		group := []run.TurnCommit{old, own, own}
		if i%3 == 1 {
			group = []run.TurnCommit{own, old}
		}
		won := make([]bool, len(group))
		if i%3 == 2 {
			var wg sync.WaitGroup
			for j, c := range group {
				wg.Go(func() {
					_, err := s.CommitTurn(t.Context(), before, c)
					won[j] = err == nil
				})
			}
			wg.Wait()
		} else if won, err = s.CommitTurns(t.Context(), group); err != nil {
			t.Fatal(err)
		}
		wins := 0
		for j, ok := range won {
			if ok && string(group[j].Output) == "old" {
				t.Errorf("round %d: the old attempt was committed", i)
			}
			if ok {
				wins++
			}
		}
		got := runtest.Steps(t, s, before.ID)
		if wins != 1 || len(got) != 4 || string(got[0].Output) != "own" || got[0].Attempt != raised.Attempt {
			t.Errorf("round %d: %d commits won, steps %+v; want the raised attempt's only", i, wins, got)
		}
	}
}

func TestRaise(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	r := runtest.Claimed(t, s)
	handed, err := s.Raise(t.Context(), runtest.FenceOf(r), run.NoBlame, 0)
	if err != nil || handed.Attempt != 2 || handed.Crashes != 0 {
		t.Errorf("Raise after a hand-back = %+v, %v; want attempt 2, no crash", handed, err)
	}
	crashed, err := s.Raise(t.Context(), runtest.FenceOf(handed), run.Suspected, 0)
	if err != nil || crashed.Attempt != 3 || crashed.Crashes != 1 || crashed.Next() != run.RunTurn {
		t.Errorf("Raise after a crash = %+v, %v; want attempt 3, one crash", crashed, err)
	}
	for i, want := range []struct {
		blame           run.Blame
		crashes, proven int
		suspect         bool
	}{
		{run.Suspected, 2, 0, true},
		{run.Suspected, 2, 0, true},
		{run.NoBlame, 2, 0, true},
		{run.Proven, 3, 1, true},
		{run.Suspected, 3, 1, true},
		{run.Proven, 4, 2, true},
	} {
		crashed, err = s.Raise(t.Context(), runtest.FenceOf(crashed), want.blame, 0)
		if err != nil || crashed.Crashes != want.crashes || crashed.ProvenCrashes() != want.proven ||
			crashed.Suspect() != want.suspect {
			t.Errorf("Raise %d = %d crashes, %v; want %+v", i, crashed.Crashes, err, want)
		}
	}
	crashed, err = s.Raise(t.Context(), runtest.FenceOf(crashed), run.Proven, time.Minute)
	if err != nil || crashed.Next() != run.WaitUntil || crashed.DueIn <= 0 || !crashed.Unpublished {
		t.Errorf("Raise with a wait = %+v, %v; want it parked", crashed, err)
	}
	next := runtest.Commit(t, s, crashed, run.TurnCommit{})
	if next.Attempt != 1 || next.Crashes != 0 || next.Turn != 2 {
		t.Errorf("the next turn is %+v, want attempt 1 without crashes", next)
	}
}

// TestTrailCountsAttemptsThatWereBegun holds that the audit trail counts a call
// whose worker ended, once however often it is reported, and a model call that
// is under way; and that the fence's attempt stays what it was.
func TestTrailCountsAttemptsThatWereBegun(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	r := runtest.Claimed(t, s)
	trail := func(index int) int {
		all, err := s.Steps(t.Context(), r.Tenant, r.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, st := range all {
			if st.Turn == r.Turn && st.Index == index {
				return st.Attempt
			}
		}
		t.Fatalf("no step %d.%d", r.Turn, index)
		return 0
	}
	want := func(what string, index, n int) {
		t.Helper()
		if got := trail(index); got != n {
			t.Errorf("%s: the trail shows attempt %d, want %d", what, got, n)
		}
	}
	want("a model call", 0, 1)
	r, err := s.Raise(t.Context(), runtest.FenceOf(r), run.Suspected, 0)
	if err != nil {
		t.Fatal(err)
	}
	want("a model call whose first worker ended", 0, 2)

	r = runtest.InTools(t, s, 2)
	lost := func(attempt, n int) {
		t.Helper()
		f := runtest.FenceOf(r)
		f.Attempt = attempt
		if err := s.CallsLost(t.Context(), f, 1, n); err != nil {
			t.Fatal(err)
		}
	}
	want("a call", 1, 1)
	lost(1, 1)
	lost(1, 1)
	want("a call whose worker ended, reported twice", 1, 2)
	lost(1, 2)
	lost(1, 1)
	want("a call whose second worker ended, too", 1, 3)
	lost(7, 5)
	want("a report of another attempt", 1, 3)
	if got := runtest.Look(t, s, r.ID).Steps[0].Attempt; got != 1 {
		t.Errorf("the fence's attempt is %d, want 1", got)
	}
	failed := runtest.ResultOf(r, r.Steps[0])
	failed.Retry, failed.Error = true, []byte(`{}`)
	runtest.CommitResults(t, s, failed)
	want("the next attempt", 1, 4)
	lost(2, 1)
	want("the next attempt, whose worker ended", 1, 5)
	want("its sibling", 2, 1)
	f := runtest.FenceOf(r)
	f.Attempt = 1
	if err := s.CallsLost(t.Context(), f, 2, 1); err != nil {
		t.Fatal(err)
	}
	unknown := runtest.ResultOf(r, r.Steps[1])
	unknown.Error, unknown.Output, unknown.Took = []byte(`{}`), []byte("unknown outcome"), 0
	runtest.CommitResults(t, s, unknown)
	want("a call that was lost and not made again", 2, 1)
}
