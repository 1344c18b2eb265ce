package store

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/storetest"
)

// keyed is a new request with an idempotency key.
func keyed(key string) NewRequest {
	n := newRequest()
	n.Once = once(key)
	return n
}

func accept(tb testing.TB, s *Store, n NewRequest) Acceptance {
	tb.Helper()
	a, err := s.Accept(tb.Context(), n)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func wantErr(tb testing.TB, what string, got, want error) {
	tb.Helper()
	if !errors.Is(got, want) || postgres.Unavailable(got) {
		tb.Errorf("%s = %v, want %v", what, got, want)
	}
}

func seen(tb testing.TB, s *Store, tenant, key string) Seen {
	tb.Helper()
	one, err := s.Seen(tb.Context(), tenant, key)
	if err != nil {
		tb.Fatal(err)
	}
	return *one
}

func TestAKeyStandsForOneRequest(t *testing.T) {
	t.Parallel()
	s := open(t)
	if _, err := s.Seen(t.Context(), testTenant, "k"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Seen before the first use = %v, want ErrNotFound", err)
	}
	first := keyed("k")
	accept(t, s, first)
	before := dump(t, s)
	for name, repeat := range map[string]NewRequest{"the same body": keyed("k"), "the request itself": first} {
		_, err := s.Accept(t.Context(), repeat)
		wantErr(t, "Accept of "+name+" with the key", err, ErrRepeat)
	}
	other := keyed("k")
	other.Once.Hash = once("another").Hash
	wantErr(t, "Accept of another body with the key", refusal(t, s, other), ErrRepeat)
	if diff := cmp.Diff(before, dump(t, s)); diff != "" {
		t.Errorf("repeats wrote (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(Seen{ID: first.ID, Hash: first.Once.Hash, Request: true}, seen(t, s, testTenant, "k")); diff != "" {
		t.Errorf("Seen differs (-want +got):\n%s", diff)
	}
}

func TestTenantsDoNotShareKeys(t *testing.T) {
	t.Parallel()
	s := open(t)
	first, theirs := keyed("k"), keyed("k")
	theirs.Tenant = "other"
	accept(t, s, first)
	if _, err := s.Seen(t.Context(), "other", "k"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Seen of another tenant's key = %v, want ErrNotFound", err)
	}
	accept(t, s, theirs)
	if got := seen(t, s, "other", "k").ID; got != theirs.ID || seen(t, s, testTenant, "k").ID != first.ID {
		t.Errorf("the other tenant's key stands for %s, want its own %s", got, theirs.ID)
	}
}

func TestEqualKeysInOneStatement(t *testing.T) {
	t.Parallel()
	s := open(t)
	all := []NewRequest{newRequest(), keyed("a"), keyed("b"), keyed("a"), newRequest(), keyed("a")}
	got, err := s.acceptAll(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	holder := seen(t, s, testTenant, "a").ID
	for i, n := range all {
		want := n.Once.Key == "a" && n.ID != holder
		if refused := errors.Is(got[i].refusal, ErrRepeat); refused != want || !refused && got[i].refusal != nil {
			t.Errorf("request %d: %v, want a repeat: %v", i, got[i].refusal, want)
		}
		if _, err := s.Look(t.Context(), n.ID); errors.Is(err, ErrNotFound) != want {
			t.Errorf("request %d: Look = %v, want it missing: %v", i, err, want)
		}
	}
	if n := ask[int](t, s, `SELECT count(*) FROM bodies`)[0]; n != 4 {
		t.Errorf("%d bodies, want 4", n)
	}
}

// Two stores are two gateways: they share nothing but the database.
func TestConcurrentUsesOfAKeyMakeOneRequest(t *testing.T) {
	t.Parallel()
	url := storetest.Database(t, migrateTemplate)
	gateways := []*Store{openAt(t, url), openAt(t, url)}
	for round := range 20 {
		key := fmt.Sprint(round)
		var mu sync.Mutex
		var won []uuid.UUID
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				s, n := gateways[i%2], keyed(key)
				_, err := s.Accept(t.Context(), n)
				switch {
				case err == nil:
					mu.Lock()
					won = append(won, n.ID)
					mu.Unlock()
				case !errors.Is(err, ErrRepeat):
					t.Error(err)
				default: // whoever is told so can see it
					if _, err := s.Seen(t.Context(), testTenant, key); err != nil {
						t.Errorf("Seen after a repeat = %v", err)
					}
				}
			})
		}
		wg.Wait()
		if len(won) != 1 || seen(t, gateways[0], testTenant, key).ID != won[0] {
			t.Fatalf("16 uses of a key: %v were accepted, want the one that holds it", won)
		}
	}
	if n := ask[int](t, gateways[0], `SELECT count(*) FROM requests`)[0]; n != 20 {
		t.Errorf("%d requests of 20 keys", n)
	}
}

// Two statements that hold the same keys in opposite orders must not wait for one another.
func TestKeysInOppositeOrders(t *testing.T) {
	t.Parallel()
	s := open(t)
	for round := range 20 {
		var forth, back []NewRequest
		for i := range 50 {
			key := fmt.Sprintf("%d-%d", round, i)
			forth, back = append(forth, keyed(key)), append(back, keyed(key))
		}
		slices.Reverse(back)
		var wg sync.WaitGroup
		for _, group := range [][]NewRequest{forth, back, forth} {
			wg.Go(func() {
				if _, err := s.acceptAll(t.Context(), group); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	if n := ask[int](t, s, `SELECT count(*) FROM requests`)[0]; n != 1000 {
		t.Errorf("%d requests of 1000 keys", n)
	}
}

func TestWhatIsNotAcceptedLeavesNoKey(t *testing.T) {
	t.Parallel()
	s := open(t)
	bad := keyed("k")
	bad.Model = "nul \x00" // no text
	if _, err := s.Accept(t.Context(), bad); err == nil || errors.Is(err, ErrRepeat) {
		t.Fatalf("Accept of what the database refuses = %v", err)
	}
	over := keyed("k")
	over.Limits = Limits{InFlight: 1}
	accepted(t, s)
	var limit *LimitError
	if _, err := s.Accept(t.Context(), over); !errors.As(err, &limit) {
		t.Fatalf("Accept over a limit = %v, want a LimitError", err)
	}
	if _, err := s.Seen(t.Context(), testTenant, "k"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Seen = %v, want ErrNotFound", err)
	}
	accept(t, s, keyed("k"))
}

func TestAKeyOutlivesItsRequest(t *testing.T) {
	t.Parallel()
	s := open(t)
	r := settledWith(t, s, "k")
	if err := s.Delete(t.Context(), testTenant, r); err != nil {
		t.Fatal(err)
	}
	if got := seen(t, s, testTenant, "k").ID; got != r {
		t.Errorf("the key of a deleted request stands for %s, want %s", got, r)
	}
	wantErr(t, "Accept with a deleted request's key", refusal(t, s, keyed("k")), ErrRepeat)
}

func settledWith(t *testing.T, s *Store, key string) uuid.UUID {
	t.Helper()
	r := inSettle(t, s, Completed, func(n *NewRequest) { n.Once = once(key) })
	settle(t, s, r, Completed, false)
	return r.ID
}

const hold = time.Minute

func TestAHeldKey(t *testing.T) {
	t.Parallel()
	s := open(t)
	id := uuid.New()
	if made, err := s.Hold(t.Context(), testTenant, once("k"), id, hold); err != nil || made != id {
		t.Fatalf("Hold = %s, %v; want %s", made, err, id)
	}
	again := func(what string, with Once) {
		t.Helper()
		_, err := s.Hold(t.Context(), testTenant, with, uuid.New(), hold)
		wantErr(t, "Hold of a key "+what, err, ErrRepeat)
	}
	again("that is held", once("k"))
	wantErr(t, "Accept with a held key", refusal(t, s, keyed("k")), ErrRepeat)
	got := seen(t, s, testTenant, "k")
	if got.Request || got.Status != 0 || got.HeldFor <= 0 || got.HeldFor > hold || got.ID != id {
		t.Errorf("Seen = %+v, want it held", got)
	}
	if err := s.Keep(t.Context(), testTenant, "k", id, 200, []byte("answer")); err != nil {
		t.Fatal(err)
	}
	again("that has its answer", once("k"))
	if got = seen(t, s, testTenant, "k"); got.Status != 200 || string(got.Answer) != "answer" || got.HeldFor > 0 {
		t.Errorf("Seen = %+v, want the answer", got)
	}
	wantErr(t, "Keep of a second answer", s.Keep(t.Context(), testTenant, "k", id, 201, nil), ErrStale)
	if err := s.Release(t.Context(), testTenant, "k", id, false); err != nil {
		t.Fatal(err)
	}
	again("released after its answer", once("k"))
}

func TestAHolderThatDied(t *testing.T) {
	t.Parallel()
	s := open(t)
	id := uuid.New()
	if _, err := s.Hold(t.Context(), testTenant, once("k"), id, -time.Second); err != nil { // its time is over
		t.Fatal(err)
	}
	other := once("k")
	other.Hash = once("another").Hash
	_, err := s.Hold(t.Context(), testTenant, other, uuid.New(), hold)
	wantErr(t, "Hold of its key for another body", err, ErrRepeat)
	if made, err := s.Hold(t.Context(), testTenant, once("k"), uuid.New(), hold); err != nil || made != id {
		t.Fatalf("Hold of its key = %s, %v; want the first one's id %s", made, err, id)
	}
	_, err = s.Hold(t.Context(), testTenant, once("k"), uuid.New(), hold)
	wantErr(t, "Hold of the key taken over", err, ErrRepeat)
}

func TestReleasedKeys(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, tt := range []struct {
		name  string
		made  bool
		again bool // under the first id
	}{{"nothing was made", false, false}, {"something may have been made", true, true}} {
		id, next := uuid.New(), uuid.New()
		if _, err := s.Hold(t.Context(), testTenant, once(tt.name), id, hold); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.Release(t.Context(), testTenant, tt.name, id, tt.made); err != nil {
				t.Fatal(err)
			}
		}
		if made, err := s.Hold(t.Context(), testTenant, once(tt.name), next, hold); err != nil || (made == id) != tt.again || made != id && made != next {
			t.Errorf("%s: Hold = %s, %v; want the first id %s: %v", tt.name, made, err, id, tt.again)
		}
	}
}

func TestARequestsKeyIsNobodysToHold(t *testing.T) {
	t.Parallel()
	s := open(t)
	n := keyed("k")
	accept(t, s, n)
	before := dump(t, s)
	_, err := s.Hold(t.Context(), testTenant, once("k"), uuid.New(), hold)
	wantErr(t, "Hold", err, ErrRepeat)
	wantErr(t, "Keep", s.Keep(t.Context(), testTenant, "k", n.ID, 200, []byte("x")), ErrStale)
	wantErr(t, "Keep of a key nobody used", s.Keep(t.Context(), testTenant, "none", n.ID, 200, []byte("x")), ErrStale)
	for _, made := range []bool{true, false} {
		if err := s.Release(t.Context(), testTenant, "k", n.ID, made); err != nil {
			t.Fatal(err)
		}
	}
	if after := dump(t, s); after != before {
		t.Errorf("the key was changed:\n%s", cmp.Diff(before, after))
	}
}

func TestConcurrentHoldersOfAKey(t *testing.T) {
	t.Parallel()
	url := storetest.Database(t, migrateTemplate)
	gateways := []*Store{openAt(t, url), openAt(t, url)}
	won := make(chan uuid.UUID, 32)
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			made, err := gateways[i%2].Hold(t.Context(), testTenant, once("k"), uuid.New(), hold)
			if err == nil {
				won <- made
			} else if !errors.Is(err, ErrRepeat) {
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
	s := open(t)
	long := keyed("long")
	long.Timeout = 30 * 24 * time.Hour
	accept(t, s, long)
	for i := range 5 {
		accept(t, s, keyed(fmt.Sprint(i)))
	}
	if _, err := s.Hold(t.Context(), testTenant, once("held"), uuid.New(), hold); err != nil {
		t.Fatal(err)
	}
	pass := func(d string) { exec(t, s, `UPDATE idempotency SET expires_at = expires_at - $1::interval`, d) }
	forget := func(most, want int) {
		t.Helper()
		if got, err := s.Forget(t.Context(), most); err != nil || got != want {
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
	if got := ask[string](t, s, `SELECT key FROM idempotency`); !slices.Equal(got, []string{"long"}) {
		t.Errorf("the keys left are %v, want that of the request that may still run", got)
	}
	accept(t, s, keyed("0"))
}
