package idempotency_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/idempotency"
	"windlass.dev/windlass/pkg/store/limits"
	"windlass.dev/windlass/pkg/store/runtest"
	"windlass.dev/windlass/pkg/store/storetest"
)

func TestAKeyStandsForOneRequest(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	if _, err := s.Idempotency.Read(t.Context(), runtest.Tenant, "k"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Seen before the first use = %v, want ErrNotFound", err)
	}
	first := runtest.WithKey("k")
	runtest.Accept(t, s, first)
	before := runtest.Dump(t, s)
	for name, repeat := range map[string]store.NewRequest{"the same body": runtest.WithKey("k"), "the request itself": first} {
		_, err := s.Accept(t.Context(), repeat)
		runtest.WantErr(t, "Accept of "+name+" with the key", err, idempotency.ErrUsed)
	}
	other := runtest.WithKey("k")
	other.Once.Hash = runtest.Key("another").Hash
	runtest.WantErr(t, "Accept of another body with the key", runtest.Refusal(t, s, other), idempotency.ErrUsed)
	if diff := cmp.Diff(before, runtest.Dump(t, s)); diff != "" {
		t.Errorf("repeats wrote (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(idempotency.Use{ID: first.ID, Hash: first.Once.Hash, Request: true}, runtest.Use(t, s, runtest.Tenant, "k")); diff != "" {
		t.Errorf("Seen differs (-want +got):\n%s", diff)
	}
}

func TestTenantsDoNotShareKeys(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	first, theirs := runtest.WithKey("k"), runtest.WithKey("k")
	theirs.Tenant = "other"
	runtest.Accept(t, s, first)
	if _, err := s.Idempotency.Read(t.Context(), "other", "k"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Seen of another tenant's key = %v, want ErrNotFound", err)
	}
	runtest.Accept(t, s, theirs)
	if got := runtest.Use(t, s, "other", "k").ID; got != theirs.ID || runtest.Use(t, s, runtest.Tenant, "k").ID != first.ID {
		t.Errorf("the other tenant's key stands for %s, want its own %s", got, theirs.ID)
	}
}

// Two stores are two gateways: they share nothing but the database.
func TestConcurrentUsesOfAKeyMakeOneRequest(t *testing.T) {
	t.Parallel()
	url := storetest.Database(t, runtest.Migrate)
	gateways := []*runtest.World{runtest.OpenAt(t, url), runtest.OpenAt(t, url)}
	for round := range 20 {
		key := fmt.Sprint(round)
		var mu sync.Mutex
		var won []uuid.UUID
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				s, n := gateways[i%2], runtest.WithKey(key)
				_, err := s.Accept(t.Context(), n)
				switch {
				case err == nil:
					mu.Lock()
					won = append(won, n.ID)
					mu.Unlock()
				case !errors.Is(err, idempotency.ErrUsed):
					t.Error(err)
				default: // the caller that gets this error can read the use
					if _, err := s.Idempotency.Read(t.Context(), runtest.Tenant, key); err != nil {
						t.Errorf("Seen after a repeat = %v", err)
					}
				}
			})
		}
		wg.Wait()
		if len(won) != 1 || runtest.Use(t, gateways[0], runtest.Tenant, key).ID != won[0] {
			t.Fatalf("16 uses of a key: %v were accepted, want the one that holds it", won)
		}
	}
	if n := runtest.Ask[int](t, gateways[0], `SELECT count(*) FROM requests`)[0]; n != 20 {
		t.Errorf("%d requests of 20 keys", n)
	}
}

func TestWhatIsNotAcceptedLeavesNoKey(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	bad := runtest.WithKey("k")
	bad.Model = "nul \x00" // no text
	if _, err := s.Accept(t.Context(), bad); err == nil || errors.Is(err, idempotency.ErrUsed) {
		t.Fatalf("Accept of what the database refuses = %v", err)
	}
	over := runtest.WithKey("k")
	over.Limits = limits.Limits{InFlight: 1}
	runtest.Accepted(t, s)
	var limit *limits.Error
	if _, err := s.Accept(t.Context(), over); !errors.As(err, &limit) {
		t.Fatalf("Accept over a limit = %v, want a LimitError", err)
	}
	if _, err := s.Idempotency.Read(t.Context(), runtest.Tenant, "k"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Seen = %v, want ErrNotFound", err)
	}
	runtest.Accept(t, s, runtest.WithKey("k"))
}

func TestAKeyOutlivesItsRequest(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	r := settledWith(t, s, "k")
	if err := s.Retention.Delete(t.Context(), runtest.Tenant, r); err != nil {
		t.Fatal(err)
	}
	if got := runtest.Use(t, s, runtest.Tenant, "k").ID; got != r {
		t.Errorf("the key of a deleted request stands for %s, want %s", got, r)
	}
	runtest.WantErr(t, "Accept with a deleted request's key", runtest.Refusal(t, s, runtest.WithKey("k")), idempotency.ErrUsed)
}

func settledWith(t *testing.T, s *runtest.World, key string) uuid.UUID {
	t.Helper()
	r := runtest.InSettle(t, s, run.Completed, func(n *store.NewRequest) { n.Once = runtest.Key(key) })
	runtest.Settle(t, s, r, run.Completed, false)
	return r.ID
}

const hold = time.Minute

func TestAHeldKey(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	id := uuid.New()
	if made, err := s.Idempotency.Hold(t.Context(), runtest.Tenant, runtest.Key("k"), id, hold); err != nil || made != id {
		t.Fatalf("Hold = %s, %v; want %s", made, err, id)
	}
	again := func(what string, with idempotency.Key) {
		t.Helper()
		_, err := s.Idempotency.Hold(t.Context(), runtest.Tenant, with, uuid.New(), hold)
		runtest.WantErr(t, "Hold of a key "+what, err, idempotency.ErrUsed)
	}
	again("that is held", runtest.Key("k"))
	runtest.WantErr(t, "Accept with a held key", runtest.Refusal(t, s, runtest.WithKey("k")), idempotency.ErrUsed)
	got := runtest.Use(t, s, runtest.Tenant, "k")
	if got.Request || got.Status != 0 || got.HeldFor <= 0 || got.HeldFor > hold || got.ID != id {
		t.Errorf("Seen = %+v, want it held", got)
	}
	if err := s.Idempotency.Complete(t.Context(), runtest.Tenant, "k", id, 200, []byte("answer")); err != nil {
		t.Fatal(err)
	}
	again("that has its answer", runtest.Key("k"))
	if got = runtest.Use(t, s, runtest.Tenant, "k"); got.Status != 200 || string(got.Answer) != "answer" || got.HeldFor > 0 {
		t.Errorf("Seen = %+v, want the answer", got)
	}
	runtest.WantErr(t, "Keep of a second answer", s.Idempotency.Complete(t.Context(), runtest.Tenant, "k", id, 201, nil), store.ErrStale)
	if err := s.Idempotency.Release(t.Context(), runtest.Tenant, "k", id, false); err != nil {
		t.Fatal(err)
	}
	again("released after its answer", runtest.Key("k"))
}

func TestAHolderThatDied(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	id := uuid.New()
	if _, err := s.Idempotency.Hold(t.Context(), runtest.Tenant, runtest.Key("k"), id, -time.Second); err != nil { // its time is over
		t.Fatal(err)
	}
	other := runtest.Key("k")
	other.Hash = runtest.Key("another").Hash
	_, err := s.Idempotency.Hold(t.Context(), runtest.Tenant, other, uuid.New(), hold)
	runtest.WantErr(t, "Hold of its key for another body", err, idempotency.ErrUsed)
	if made, err := s.Idempotency.Hold(t.Context(), runtest.Tenant, runtest.Key("k"), uuid.New(), hold); err != nil || made != id {
		t.Fatalf("Hold of its key = %s, %v; want the first one's id %s", made, err, id)
	}
	_, err = s.Idempotency.Hold(t.Context(), runtest.Tenant, runtest.Key("k"), uuid.New(), hold)
	runtest.WantErr(t, "Hold of the key taken over", err, idempotency.ErrUsed)
}

func TestReleasedKeys(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	for _, tt := range []struct {
		name  string
		made  bool
		again bool // under the first id
	}{{"nothing was made", false, false}, {"something may have been made", true, true}} {
		id, next := uuid.New(), uuid.New()
		if _, err := s.Idempotency.Hold(t.Context(), runtest.Tenant, runtest.Key(tt.name), id, hold); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.Idempotency.Release(t.Context(), runtest.Tenant, tt.name, id, tt.made); err != nil {
				t.Fatal(err)
			}
		}
		if made, err := s.Idempotency.Hold(t.Context(), runtest.Tenant, runtest.Key(tt.name), next, hold); err != nil || (made == id) != tt.again || made != id && made != next {
			t.Errorf("%s: Hold = %s, %v; want the first id %s: %v", tt.name, made, err, id, tt.again)
		}
	}
}

func TestARequestsKeyIsNobodysToHold(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	n := runtest.WithKey("k")
	runtest.Accept(t, s, n)
	before := runtest.Dump(t, s)
	_, err := s.Idempotency.Hold(t.Context(), runtest.Tenant, runtest.Key("k"), uuid.New(), hold)
	runtest.WantErr(t, "Hold", err, idempotency.ErrUsed)
	runtest.WantErr(t, "Keep", s.Idempotency.Complete(t.Context(), runtest.Tenant, "k", n.ID, 200, []byte("x")), store.ErrStale)
	runtest.WantErr(t, "Complete of an unused key", s.Idempotency.Complete(t.Context(), runtest.Tenant, "none", n.ID, 200, []byte("x")), store.ErrStale)
	for _, made := range []bool{true, false} {
		if err := s.Idempotency.Release(t.Context(), runtest.Tenant, "k", n.ID, made); err != nil {
			t.Fatal(err)
		}
	}
	if after := runtest.Dump(t, s); after != before {
		t.Errorf("the key was changed:\n%s", cmp.Diff(before, after))
	}
}

func TestConcurrentHoldersOfAKey(t *testing.T) {
	t.Parallel()
	url := storetest.Database(t, runtest.Migrate)
	gateways := []*runtest.World{runtest.OpenAt(t, url), runtest.OpenAt(t, url)}
	won := make(chan uuid.UUID, 32)
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			made, err := gateways[i%2].Idempotency.Hold(t.Context(), runtest.Tenant, runtest.Key("k"), uuid.New(), hold)
			if err == nil {
				won <- made
			} else if !errors.Is(err, idempotency.ErrUsed) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Errorf("%d of 32 hold the key, want 1", len(won))
	}
}

func TestKeysAreForgottenInTime(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	long := runtest.WithKey("long")
	long.Timeout = 30 * 24 * time.Hour
	runtest.Accept(t, s, long)
	for i := range 5 {
		runtest.Accept(t, s, runtest.WithKey(fmt.Sprint(i)))
	}
	if _, err := s.Idempotency.Hold(t.Context(), runtest.Tenant, runtest.Key("held"), uuid.New(), hold); err != nil {
		t.Fatal(err)
	}
	pass := func(d string) { runtest.Exec(t, s, `UPDATE idempotency SET expires_at = expires_at - $1::interval`, d) }
	forget := func(most, want int) {
		t.Helper()
		if got, err := s.Idempotency.Purge(t.Context(), most); err != nil || got != want {
			t.Errorf("Forget up to %d = %d, %v; want %d", most, got, err, want)
		}
	}
	pass("23 hours 59 minutes")
	forget(100, 0)
	pass("2 minutes") // a deadline later those of requests follow
	forget(100, 1)
	pass("1 hour")
	forget(3, 3)
	forget(100, 2)
	if got := runtest.Ask[string](t, s, `SELECT key FROM idempotency`); !slices.Equal(got, []string{"long"}) {
		t.Errorf("the keys left are %v, want that of the request that may still run", got)
	}
	runtest.Accept(t, s, runtest.WithKey("0"))
}
