package store_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/runtest"
)

func TestSettleStoresTheAnswer(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	r := runtest.InSettle(t, s, run.Incomplete)
	final := []byte("final \x00")
	o := store.Settlement{ID: r.ID, Epoch: r.Epoch, Status: run.Incomplete, Answer: final, AfterWork: true}
	if err := s.Settle(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	a, err := s.Answers.Read(t.Context(), runtest.Tenant, r.ID)
	if err != nil || a.Status != run.Incomplete || string(a.Final) != string(final) || a.Body != nil || a.FinishedAt == nil || a.Reason != "because" {
		t.Errorf("Answer = %+v, %v; want the final body, the reason that was decided, and no request body", a, err)
	}
	after := runtest.Look(t, s, r.ID)
	if after.Next() != run.RunFinal {
		t.Errorf("a settled row with after-work needs %d, want a final", after.Next())
	}
	if err := s.Finish(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	before := runtest.Dump(t, s)
	if err := s.Finish(t.Context(), r.ID); err != nil {
		t.Errorf("repeated Finish: %v", err)
	}
	if diff := cmp.Diff(before, runtest.Dump(t, s)); diff != "" {
		t.Errorf("the repeated Finish wrote (-before +after):\n%s", diff)
	}
	if got := runtest.Look(t, s, r.ID); got.Next() != run.Nothing {
		t.Errorf("a finished row needs %d, want nothing", got.Next())
	}
}

func TestCancelFromTheQueueIsNeverClaimed(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	id := runtest.Accepted(t, s)
	runtest.Settle(t, s, run.Row{ID: id, Tenant: runtest.Tenant}, run.Cancelled, false)
	if rows, err := s.Claim(t.Context(), []store.Slots{{runtest.Lane, 5}}); len(rows) != 0 || err != nil {
		t.Errorf("Claim = %v, %v; want nothing", rows, err)
	}
	a, err := s.Answers.Read(t.Context(), runtest.Tenant, id)
	if err != nil || a.Status != run.Cancelled || a.Final != nil || string(a.Body) != string(runtest.NewRequest().Body) {
		t.Errorf("Answer = %+v, %v; want cancelled with the request body", a, err)
	}
}

// A settle, a cancel and an expiry of the same rows at the same time: one of
// them wins, and the row tells which.
func TestSettleRacesCancelRacesExpire(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	ends := []run.Status{run.Completed, run.Cancelled, run.Expired, run.Completed, run.Cancelled}
	for i := range 40 {
		r := runtest.InSettle(t, s, run.Completed, runtest.Overdue)
		all := postgres.Column(ends, func(end run.Status) store.Settlement {
			o := store.Settlement{ID: r.ID, Tenant: r.Tenant, Epoch: r.Epoch, Status: end, AfterWork: true}
			if end == run.Completed {
				o.Answer = []byte("answer")
			}
			return o
		})
		won := make([]bool, len(all))
		var wg sync.WaitGroup
		if i%4 == 0 { // all in one statement
			var err error
			if won, err = s.SettleAll(t.Context(), all); err != nil {
				t.Fatal(err)
			}
		} else {
			for j, o := range all {
				wg.Go(func() {
					err := s.Settle(t.Context(), o)
					if won[j] = err == nil; err != nil && !errors.Is(err, store.ErrStale) {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		var winners []run.Status
		for j, ok := range won {
			if ok {
				winners = append(winners, ends[j])
			}
		}
		a, err := s.Answers.Read(t.Context(), r.Tenant, r.ID)
		if err != nil || len(winners) != 1 || a.Status != winners[0] || (a.Final != nil) != (a.Status == run.Completed) {
			t.Fatalf("round %d: winners %v, row %+v, %v; want one winner and its status", i, winners, a, err)
		}
	}
}

// Cancels and expiries beside everything else that writes: no status is left
// once it is terminal, and nothing deadlocks.
func TestCancelRacesTheLoop(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	const total = 40
	ids := make([]uuid.UUID, total)
	for i := range ids {
		ids[i] = runtest.Accepted(t, s)
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				rows, err := s.Claim(t.Context(), []store.Slots{{runtest.Lane, 5}})
				if err != nil {
					t.Error(err)
				}
				if len(rows) == 0 {
					return
				}
				for _, r := range rows {
					loopOnce(t, s, r)
				}
			}
		})
	}
	cancelled := make([]bool, total)
	for i := range ids {
		wg.Go(func() {
			err := s.Settle(t.Context(), store.Settlement{ID: ids[i], Tenant: runtest.Tenant, Status: run.Cancelled, AfterWork: true})
			if cancelled[i] = err == nil; err != nil && !errors.Is(err, store.ErrStale) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i, id := range ids {
		want := run.Completed
		if cancelled[i] {
			want = run.Cancelled
		}
		if got := runtest.Look(t, s, id); got.Status != want || got.Pending != 0 {
			t.Errorf("request %d is %s with %d pending; its cancel won: %v", i, got.Status, got.Pending, cancelled[i])
		}
	}
}

// loopOnce drives a request through one round of tools to its end, unless it is
// cancelled on the way.
func loopOnce(t *testing.T, s *runtest.World, r run.Row) {
	asked, err := s.CommitTurn(t.Context(), r, run.TurnCommit{Fence: runtest.FenceOf(r), Steps: runtest.NewSteps(3)})
	if err == nil {
		var turned []store.Progress
		if turned, err = s.CommitResults(t.Context(), runtest.Results(asked)); err == nil && len(turned) == 1 {
			r = turned[0].Row
			r, err = s.CommitTurn(t.Context(), r, run.TurnCommit{Fence: runtest.FenceOf(r), Outcome: run.Completed})
			if err == nil {
				err = s.Settle(t.Context(), store.Settlement{ID: r.ID, Epoch: r.Epoch, Status: run.Completed, Answer: []byte("a"), AfterWork: true})
			}
		}
	}
	if err != nil && !errors.Is(err, store.ErrStale) {
		t.Error(err)
	}
}
