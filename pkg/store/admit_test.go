package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/runtest"
)

func TestAdmitSkipsAnEmptyQueueOnly(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	n := runtest.NewRequest()
	n.Admit = true
	a, err := s.Accept(t.Context(), n)
	row := a.Row
	if err != nil || row.Next() != run.RunTurn {
		t.Fatalf("Accept into a lane without a queue = %+v, %v, want a turn that is due", row, err)
	}
	got := runtest.Look(t, s, n.ID)
	if got.Status != run.InProgress || got.Epoch != row.Epoch || got.Turn != row.Turn || got.Attempt != row.Attempt {
		t.Errorf("the row is %+v, want what Accept reported: %+v", got, row)
	}
	if chain, err := s.Load(t.Context(), n.ID); err != nil || len(chain.Steps) != 1 || string(chain.Body) != string(n.Body) {
		t.Errorf("Load = %+v, %v, want the body and the model step", chain, err)
	}
	queued := runtest.Accepted(t, s)
	late := runtest.NewRequest()
	late.Admit = true
	if a, err = s.Accept(t.Context(), late); err != nil || a.Row.Status != run.Queued || a.Row.Next() != run.Nothing {
		t.Errorf("Accept behind a queue = %+v, %v, want it queued", a, err)
	}
	rows, err := s.Claim(t.Context(), []store.Slots{{Lane: runtest.Lane, Free: 5}})
	if err != nil || len(rows) != 2 {
		t.Fatalf("Claim = %v, %v, want the two queued", rows, err)
	}
	for _, r := range rows {
		if r.ID != queued && r.ID != late.ID {
			t.Errorf("Claim took %s, which was admitted", uuid.UUID(r.ID))
		}
	}
	again, err := s.Accept(t.Context(), n)
	if err != nil || again.Row.Status != run.Queued || runtest.Look(t, s, n.ID).Epoch != 1 {
		t.Errorf("a repeated Accept = %+v, %v, want no second start", again, err)
	}
}

func TestAdmitsAndAcceptsShareAStatement(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	all := make([]store.NewRequest, 4)
	for i := range all {
		all[i] = runtest.NewRequest()
		all[i].Lane = uuid.NewString()
		all[i].Admit = i%2 == 0
	}
	got, err := s.AcceptAll(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	for i, one := range got {
		if want := i%2 == 0; one.Started() != want || (runtest.Look(t, s, all[i].ID).Status == run.InProgress) != want {
			t.Errorf("request %d: admitted %v, want %v", i, one.Started(), want)
		}
	}
}

func TestRaisedToolCallsTakeOnlyNewResults(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	r := runtest.InTools(t, s, 3)
	parked := runtest.Results(r)[2]
	parked.Retry, parked.Wait = true, time.Hour
	runtest.CommitResults(t, s, parked)
	if err := s.RaiseTools(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if rows := runtest.CommitResults(t, s, runtest.Results(r)[:2]...); len(rows) != 0 || runtest.Look(t, s, r.ID).Pending != 3 {
		t.Errorf("results of the old attempts moved %v", rows)
	}
	now := runtest.Look(t, s, r.ID)
	for _, step := range now.Steps {
		if step.Attempt != 2 { // the parked one by its own retry
			t.Errorf("step %d is at attempt %d, want 2", step.Index, step.Attempt)
		}
	}
	if rows := runtest.CommitResults(t, s, runtest.Results(now)...); len(rows) != 1 || rows[0].Turn != 2 {
		t.Errorf("results of the new attempts moved %v, want the next turn opened", rows)
	}
	wantStale(t, "RaiseTools of a turn that is over", s.RaiseTools(t.Context(), r))
	wantStale(t, "RaiseTools of a model turn", s.RaiseTools(t.Context(), runtest.Claimed(t, s)))
}

func TestAgeCountsFromTheLastMoveOrFromWhatWasParked(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	r := runtest.Claimed(t, s)
	runtest.Exec(t, s, `UPDATE requests SET changed_at = now() - interval '1 hour' WHERE id = $1`, r.ID)
	if age := runtest.Look(t, s, r.ID).Age; age < 59*time.Minute || age > 61*time.Minute {
		t.Errorf("a row that has not moved for an hour is %s old", age)
	}
	runtest.Exec(t, s, `UPDATE requests SET not_before = now() - interval '1 minute' WHERE id = $1`, r.ID)
	if age := runtest.Look(t, s, r.ID).Age; age < 50*time.Second || age > 70*time.Second {
		t.Errorf("a row parked until a minute ago is %s old", age)
	}
}

func TestAParkedTurnIsUnpublishedUntilItIsPostponed(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	r := runtest.Claimed(t, s)
	if r.Unpublished {
		t.Error("a claimed row counts as parked")
	}
	if _, err := s.RetryTurn(t.Context(), runtest.FenceOf(r), time.Millisecond, "x"); err != nil {
		t.Fatal(err)
	}
	runtest.Exec(t, s, `UPDATE requests SET not_before = now(), check_at = now() WHERE id = $1`, r.ID)
	rows, err := s.Overdue(t.Context(), 10)
	if err != nil || len(rows) != 1 || !rows[0].Unpublished {
		t.Fatalf("Overdue = %+v, %v, want the parked row, unpublished", rows, err)
	}
	if err := s.Postpone(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	if runtest.Look(t, s, r.ID).Unpublished {
		t.Error("a row that was published for still counts as unpublished")
	}
}
