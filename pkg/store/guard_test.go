package store_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/conversations"
	"windlass.dev/windlass/pkg/store/idempotency"
	"windlass.dev/windlass/pkg/store/limits"
	"windlass.dev/windlass/pkg/store/runtest"
)

// What one guard refuses leaves the others as they were: no key is taken, no
// version raised, nothing charged.
func TestAGuardThatRefusesLeavesTheOthersAlone(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	id := runtest.Conversation(t, s, 1)
	l := limits.Limits{Requests: limits.Rate{PerMinute: 1, Burst: 2}}
	guarded := func(key string, seen int64) store.NewRequest {
		n := limitedTo(l)
		n.Once = runtest.Key(key)
		runtest.On(id, seen)(&n)
		return n
	}
	runtest.Accept(t, s, runtest.WithKey("used"))
	runtest.Accept(t, s, limitedTo(l))
	before := runtest.Dump(t, s)
	runtest.WantErr(t, "Accept with a used key", runtest.Refusal(t, s, guarded("used", 0)), idempotency.ErrUsed)
	wantStale(t, "Accept at another version", runtest.Refusal(t, s, guarded("a", 7)))
	if diff := cmp.Diff(before, runtest.Dump(t, s)); diff != "" {
		t.Errorf("refused requests wrote (-before +after):\n%s", diff)
	}
	good := guarded("a", 0)
	if a := runtest.Accept(t, s, good); a.Quota.Requests.Remaining != 0 || runtest.State(t, s, id).Version != 1 {
		t.Errorf("Accept = %+v at version %d, want nothing left and version 1", a, runtest.State(t, s, id).Version)
	}
	_ = wantLimit(t, s, guarded("b", 1), limits.Requests)
	pass(t, s, 60e9)
	runtest.WantErr(t, "Accept of the same, within the limit", runtest.Refusal(t, s, good), idempotency.ErrUsed)
	if got := runtest.Use(t, s, runtest.Tenant, "a").ID; got != good.ID {
		t.Errorf("the key stands for %s, want %s", got, good.ID)
	}
}

// Accepts and settlements over the same conversations, tenants and keys in any
// order must not wait for one another in a circle.
func TestGuardsInOppositeOrders(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	l := limits.Limits{Requests: limits.Rate{PerMinute: 1e6, Burst: 1e6}, Tokens: limits.Rate{PerMinute: 1e6, Burst: 1e6}, InFlight: 1000}
	const rounds, tenants = 8, 20
	for round := range rounds {
		var talks []uuid.UUID
		var running []store.Settlement
		for i := range tenants {
			id := uuid.Must(uuid.NewV7())
			tenant := fmt.Sprintf("t%02d", (7*i)%tenants)
			if err := s.Conversations.Create(t.Context(), conversations.NewConversation{ID: id, Tenant: tenant, Metadata: []byte("{}")}); err != nil {
				t.Fatal(err)
			}
			r := runtest.Commit(t, s, runtest.Claimed(t, s, runtest.On(id, 0), func(n *store.NewRequest) { n.Tenant, n.Limits = tenant, l }), run.TurnCommit{Outcome: run.Completed, InputTokens: 5})
			talks = append(talks, id)
			running = append(running, store.Settlement{
				ID: r.ID, Tenant: tenant, Epoch: r.Epoch, Status: run.Completed, Items: []run.NewItem{runtest.NewItem("msg_said")},
			})
		}
		var wg sync.WaitGroup
		for g := range 6 {
			var all []store.NewRequest
			for i := range tenants {
				n := limitedTo(l)
				n.Tenant, n.Once = running[i].Tenant, runtest.Key(fmt.Sprintf("%d-%d", round, i))
				runtest.On(talks[i], int64(1+g%2))(&n)
				all = append(all, n)
			}
			if g%3 == 0 {
				slices.Reverse(all)
			}
			wg.Go(func() {
				got, err := s.AcceptAll(t.Context(), all)
				if err != nil {
					t.Error(err)
				}
				for _, one := range got {
					if one.Refusal() != nil && !errors.Is(one.Refusal(), store.ErrStale) && !errors.Is(one.Refusal(), idempotency.ErrUsed) {
						t.Error(one.Refusal())
					}
				}
			})
		}
		wg.Go(func() {
			if _, err := s.SettleAll(t.Context(), running); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
	}
	twice := runtest.Ask[string](t, s, `SELECT key FROM idempotency GROUP BY key HAVING count(*) > 1`)
	made, rows := runtest.Ask[int](t, s, `SELECT count(*) FROM idempotency`)[0], runtest.Ask[int](t, s, `SELECT count(*) FROM requests`)[0]
	if len(twice) > 0 || rows != made+rounds*tenants {
		t.Errorf("%d keys made %d requests beside %d without one; twice: %v", made, rows-rounds*tenants, rounds*tenants, twice)
	}
}

func TestEqualKeysInOneStatement(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	all := []store.NewRequest{runtest.NewRequest(), runtest.WithKey("a"), runtest.WithKey("b"), runtest.WithKey("a"), runtest.NewRequest(), runtest.WithKey("a")}
	got, err := s.AcceptAll(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	holder := runtest.Use(t, s, runtest.Tenant, "a").ID
	for i, n := range all {
		want := n.Once.Key == "a" && n.ID != holder
		if refused := errors.Is(got[i].Refusal(), idempotency.ErrUsed); refused != want || !refused && got[i].Refusal() != nil {
			t.Errorf("request %d: %v, want a repeat: %v", i, got[i].Refusal(), want)
		}
		if _, err := s.Look(t.Context(), n.ID); errors.Is(err, store.ErrNotFound) != want {
			t.Errorf("request %d: Look = %v, want it missing: %v", i, err, want)
		}
	}
	if n := runtest.Ask[int](t, s, `SELECT count(*) FROM bodies`)[0]; n != 4 {
		t.Errorf("%d bodies, want 4", n)
	}
}

// Two statements that hold the same keys in opposite orders must not wait for
// one another.
func TestKeysInOppositeOrders(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	for round := range 20 {
		var forth, back []store.NewRequest
		for i := range 50 {
			key := fmt.Sprintf("%d-%d", round, i)
			forth, back = append(forth, runtest.WithKey(key)), append(back, runtest.WithKey(key))
		}
		slices.Reverse(back)
		var wg sync.WaitGroup
		for _, group := range [][]store.NewRequest{forth, back, forth} {
			wg.Go(func() {
				if _, err := s.AcceptAll(t.Context(), group); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	if n := runtest.Ask[int](t, s, `SELECT count(*) FROM requests`)[0]; n != 1000 {
		t.Errorf("%d requests of 1000 keys", n)
	}
}
