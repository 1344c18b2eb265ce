package store

import (
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/store/postgres"
)

func TestSettleStoresTheAnswer(t *testing.T) {
	t.Parallel()
	s := open(t)
	r := inSettle(t, s, Incomplete)
	final := []byte("final \x00")
	o := Settlement{ID: r.ID, Epoch: r.Epoch, Status: Incomplete, Answer: final, AfterWork: true}
	if err := s.Settle(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	a, err := s.Answer(t.Context(), testTenant, r.ID)
	if err != nil || a.Status != Incomplete || string(a.Final) != string(final) || a.Body != nil || a.FinishedAt == nil || a.Reason != "because" {
		t.Errorf("Answer = %+v, %v; want the final body, the reason that was decided, and no request body", a, err)
	}
	after := look(t, s, r.ID)
	if after.Next() != RunFinal {
		t.Errorf("a settled row with after-work needs %d, want a final", after.Next())
	}
	if err := s.Finish(t.Context(), r.ID); err != nil {
		t.Fatal(err)
	}
	before := dump(t, s)
	if err := s.Finish(t.Context(), r.ID); err != nil {
		t.Errorf("repeated Finish: %v", err)
	}
	if diff := cmp.Diff(before, dump(t, s)); diff != "" {
		t.Errorf("the repeated Finish wrote (-before +after):\n%s", diff)
	}
	if got := look(t, s, r.ID); got.Next() != Nothing {
		t.Errorf("a finished row needs %d, want nothing", got.Next())
	}
}

func TestCancelFromTheQueueIsNeverClaimed(t *testing.T) {
	t.Parallel()
	s := open(t)
	id := accepted(t, s)
	settle(t, s, Row{ID: id, Tenant: testTenant}, Cancelled, false)
	if rows, err := s.Claim(t.Context(), []Slots{{testLane, 5}}); len(rows) != 0 || err != nil {
		t.Errorf("Claim = %v, %v; want nothing", rows, err)
	}
	a, err := s.Answer(t.Context(), testTenant, id)
	if err != nil || a.Status != Cancelled || a.Final != nil || string(a.Body) != string(newRequest().Body) {
		t.Errorf("Answer = %+v, %v; want cancelled with the request body", a, err)
	}
}

// A settle, a cancel and an expiry of the same rows at the same time: one of them wins, and the row tells which.
func TestSettleRacesCancelRacesExpire(t *testing.T) {
	t.Parallel()
	s := open(t)
	ends := []Status{Completed, Cancelled, Expired, Completed, Cancelled}
	for i := range 40 {
		r := inSettle(t, s, Completed, overdue)
		all := postgres.Column(ends, func(end Status) Settlement {
			o := Settlement{ID: r.ID, Tenant: r.Tenant, Epoch: r.Epoch, Status: end, AfterWork: true}
			if end == Completed {
				o.Answer = []byte("answer")
			}
			return o
		})
		won := make([]bool, len(all))
		var wg sync.WaitGroup
		if i%4 == 0 { // all in one statement
			var err error
			if won, err = s.settleAll(t.Context(), all); err != nil {
				t.Fatal(err)
			}
		} else {
			for j, o := range all {
				wg.Go(func() {
					err := s.Settle(t.Context(), o)
					if won[j] = err == nil; err != nil && !errors.Is(err, ErrStale) {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		var winners []Status
		for j, ok := range won {
			if ok {
				winners = append(winners, ends[j])
			}
		}
		a, err := s.Answer(t.Context(), r.Tenant, r.ID)
		if err != nil || len(winners) != 1 || a.Status != winners[0] || (a.Final != nil) != (a.Status == Completed) {
			t.Fatalf("round %d: winners %v, row %+v, %v; want one winner and its status", i, winners, a, err)
		}
	}
}

// Cancels and expiries beside everything else that writes: no status is left once it is terminal, and nothing deadlocks.
func TestCancelRacesTheLoop(t *testing.T) {
	t.Parallel()
	s := open(t)
	const total = 40
	ids := make([]uuid.UUID, total)
	for i := range ids {
		ids[i] = accepted(t, s)
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				rows, err := s.Claim(t.Context(), []Slots{{testLane, 5}})
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
			err := s.Settle(t.Context(), Settlement{ID: ids[i], Tenant: testTenant, Status: Cancelled, AfterWork: true})
			if cancelled[i] = err == nil; err != nil && !errors.Is(err, ErrStale) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i, id := range ids {
		want := Completed
		if cancelled[i] {
			want = Cancelled
		}
		if got := look(t, s, id); got.Status != want || got.Pending != 0 {
			t.Errorf("request %d is %s with %d pending; its cancel won: %v", i, got.Status, got.Pending, cancelled[i])
		}
	}
}

// loopOnce drives a request through one round of tools to its end, unless it is cancelled on the way.
func loopOnce(t *testing.T, s *Store, r Row) {
	asked, err := s.CommitTurn(t.Context(), r, TurnCommit{Fence: fenceOf(r), Steps: newSteps(3)})
	if err == nil {
		var turned []Progress
		if turned, err = s.CommitResults(t.Context(), results(asked)); err == nil && len(turned) == 1 {
			r = turned[0].Row
			r, err = s.CommitTurn(t.Context(), r, TurnCommit{Fence: fenceOf(r), Outcome: Completed})
			if err == nil {
				err = s.Settle(t.Context(), Settlement{ID: r.ID, Epoch: r.Epoch, Status: Completed, Answer: []byte("a"), AfterWork: true})
			}
		}
	}
	if err != nil && !errors.Is(err, ErrStale) {
		t.Error(err)
	}
}
