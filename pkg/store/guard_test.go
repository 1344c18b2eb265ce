package store

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// What one guard refuses leaves the others as they were: no key is taken, no version raised, nothing charged.
func TestAGuardThatRefusesLeavesTheOthersAlone(t *testing.T) {
	t.Parallel()
	s := open(t)
	id := talk(t, s, 1)
	l := Limits{Requests: Rate{PerMinute: 1, Burst: 2}}
	guarded := func(key string, seen int64) NewRequest {
		n := within(l)
		n.Once = once(key)
		on(id, seen)(&n)
		return n
	}
	accept(t, s, keyed("used"))
	accept(t, s, within(l))
	before := dump(t, s)
	wantErr(t, "Accept with a used key", refusal(t, s, guarded("used", 0)), ErrRepeat)
	wantStale(t, "Accept at another version", refusal(t, s, guarded("a", 7)))
	if diff := cmp.Diff(before, dump(t, s)); diff != "" {
		t.Errorf("refused requests wrote (-before +after):\n%s", diff)
	}
	good := guarded("a", 0)
	if a := accept(t, s, good); a.Quota.Requests.Remaining != 0 || state(t, s, id).Version != 1 {
		t.Errorf("Accept = %+v at version %d, want nothing left and version 1", a, state(t, s, id).Version)
	}
	_ = wantLimit(t, s, guarded("b", 1), LimitRequests)
	pass(t, s, 60e9)
	wantErr(t, "Accept of the same, within the limit", refusal(t, s, good), ErrRepeat)
	if got := seen(t, s, testTenant, "a").ID; got != good.ID {
		t.Errorf("the key stands for %s, want %s", got, good.ID)
	}
}

// Accepts and settlements over the same conversations, tenants and keys in any order must not wait for one another in a circle.
func TestGuardsInOppositeOrders(t *testing.T) {
	t.Parallel()
	s := open(t)
	l := Limits{Requests: Rate{PerMinute: 1e6, Burst: 1e6}, Tokens: Rate{PerMinute: 1e6, Burst: 1e6}, InFlight: 1000}
	const rounds, tenants = 8, 20
	for round := range rounds {
		var talks []uuid.UUID
		var running []Settlement
		for i := range tenants {
			id := uuid.Must(uuid.NewV7())
			tenant := fmt.Sprintf("t%02d", (7*i)%tenants)
			if err := s.CreateConversation(t.Context(), NewConversation{ID: id, Tenant: tenant, Metadata: []byte("{}")}); err != nil {
				t.Fatal(err)
			}
			r := commit(t, s, claimed(t, s, on(id, 0), func(n *NewRequest) { n.Tenant, n.Limits = tenant, l }), TurnCommit{Outcome: Completed, InputTokens: 5})
			talks = append(talks, id)
			running = append(running, Settlement{
				ID: r.ID, Tenant: tenant, Epoch: r.Epoch, Status: Completed, Items: []NewItem{newItem("msg_said")},
			})
		}
		var wg sync.WaitGroup
		for g := range 6 {
			var all []NewRequest
			for i := range tenants {
				n := within(l)
				n.Tenant, n.Once = running[i].Tenant, once(fmt.Sprintf("%d-%d", round, i))
				on(talks[i], int64(1+g%2))(&n)
				all = append(all, n)
			}
			if g%3 == 0 {
				slices.Reverse(all)
			}
			wg.Go(func() {
				got, err := s.acceptAll(t.Context(), all)
				if err != nil {
					t.Error(err)
				}
				for _, one := range got {
					if one.refusal != nil && !errors.Is(one.refusal, ErrStale) && !errors.Is(one.refusal, ErrRepeat) {
						t.Error(one.refusal)
					}
				}
			})
		}
		wg.Go(func() {
			if _, err := s.settleAll(t.Context(), running); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
	}
	twice := ask[string](t, s, `SELECT key FROM idempotency GROUP BY key HAVING count(*) > 1`)
	made, rows := ask[int](t, s, `SELECT count(*) FROM idempotency`)[0], ask[int](t, s, `SELECT count(*) FROM requests`)[0]
	if len(twice) > 0 || rows != made+rounds*tenants {
		t.Errorf("%d keys made %d requests beside %d without one; twice: %v", made, rows-rounds*tenants, rounds*tenants, twice)
	}
}
