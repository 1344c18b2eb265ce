package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/retry"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/keys"
	"windlass.dev/windlass/pkg/store/migrations"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
	"windlass.dev/windlass/services/internal/apikey"
)

const keyOfTests = "wl-test-key"

var pepperOfTests = apikey.Pepper("pepper of the tests")

// shelf is the database of a keyring.
type shelf struct {
	mu    sync.Mutex
	keys  map[string]keys.Key
	err   error
	takes time.Duration
	asked int
}

func (s *shelf) find(ctx context.Context, id string) (*keys.Key, error) {
	s.mu.Lock()
	s.asked++
	key, ok := s.keys[id]
	err, takes := s.err, s.takes
	s.mu.Unlock()
	if takes > 0 && !retry.Sleep(ctx, takes) {
		return nil, context.Cause(ctx)
	}
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, store.ErrNotFound
	}
	return &key, nil
}

func (s *shelf) change(f func(*shelf)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s)
}

func (s *shelf) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.asked
	s.asked = 0
	return n
}

func validKey(id string) keys.Key { return keys.Key{ID: id, Tenant: "a", Remaining: math.MaxInt64} }

var errCut = fmt.Errorf("cut: %w", io.ErrUnexpectedEOF)

// inRing runs a test on a ring that holds key "k", by a clock of its own.
func inRing(t *testing.T, test func(t *testing.T, ring *keyring, s *shelf)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{keys: map[string]keys.Key{"k": validKey("k")}}
		var tasks sync.WaitGroup
		defer tasks.Wait()
		test(t, newKeyring(s.find, &tasks, zap.NewNop()), s)
	})
}

func wantKey(t *testing.T, ring *keyring, id string, want error, when string) {
	t.Helper()
	key, err := ring.find(t.Context(), id)
	if !errors.Is(err, want) || (err == nil) != (key != nil) {
		t.Errorf("%s: key %s = %v, %v; want error %v", when, id, key, err, want)
	}
}

func wantAsked(t *testing.T, s *shelf, want int, when string) {
	t.Helper()
	if got := s.count(); got != want {
		t.Errorf("%s: the database was asked %d times, want %d", when, got, want)
	}
}

func TestKeyIsLookedUpEveryFiveSeconds(t *testing.T) {
	t.Parallel()
	inRing(t, func(t *testing.T, ring *keyring, s *shelf) {
		for range 1000 {
			wantKey(t, ring, "k", nil, "at first")
		}
		wantAsked(t, s, 1, "at first")
		s.change(func(s *shelf) { delete(s.keys, "k") })
		time.Sleep(keyFresh - time.Millisecond) //nolint:forbidigo // in a bubble
		wantKey(t, ring, "k", nil, "while it is fresh")
		wantAsked(t, s, 0, "while it is fresh")
		time.Sleep(time.Millisecond) //nolint:forbidigo // in a bubble
		wantKey(t, ring, "k", errKeyUnknown, "after five seconds")
		wantAsked(t, s, 1, "after five seconds")
	})
}

func TestAbsentKeyIsLookedUpEverySecond(t *testing.T) {
	t.Parallel()
	inRing(t, func(t *testing.T, ring *keyring, s *shelf) {
		revoked := validKey("revoked")
		revoked.RevokedAt = new(time.Now())
		s.change(func(s *shelf) { s.keys["revoked"] = revoked })
		for _, id := range []string{"none", "revoked"} {
			for range 1000 {
				wantKey(t, ring, id, errKeyUnknown, "at first")
			}
			wantAsked(t, s, 1, "at first")
		}
		s.change(func(s *shelf) { s.keys["none"] = validKey("none") })
		time.Sleep(keyAbsent) //nolint:forbidigo // in a bubble
		wantKey(t, ring, "none", nil, "a second later")
		wantAsked(t, s, 1, "a second later")
	})
}

func TestManyWaitForOneLook(t *testing.T) {
	t.Parallel()
	inRing(t, func(t *testing.T, ring *keyring, s *shelf) {
		s.change(func(s *shelf) { s.takes = 100 * time.Millisecond })
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { wantKey(t, ring, "k", nil, "beside others") })
			all.Go(func() { wantKey(t, ring, "none", errKeyUnknown, "beside others") })
		}
		all.Wait()
		wantAsked(t, s, 2, "beside others")
	})
}

func TestKeyEndsWhileItIsHeld(t *testing.T) {
	t.Parallel()
	inRing(t, func(t *testing.T, ring *keyring, s *shelf) {
		short := validKey("short")
		short.Remaining = time.Second
		s.change(func(s *shelf) { s.keys["short"] = short })
		wantKey(t, ring, "short", nil, "before its end")
		time.Sleep(time.Second) //nolint:forbidigo // in a bubble
		wantKey(t, ring, "short", errKeyUnknown, "at its end")
	})
}

func TestKnownKeyOutlivesTheDatabaseForAMinute(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]func(*shelf){
		"refuses":      func(s *shelf) { s.err = errCut },
		"says nothing": func(s *shelf) { s.takes = time.Hour },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inRing(t, func(t *testing.T, ring *keyring, s *shelf) {
				began := time.Now()
				wantKey(t, ring, "k", nil, "before")
				wantKey(t, ring, "gone", errKeyUnknown, "before")
				s.count()
				s.change(outage)
				for time.Since(began) < keyFresh+keyGrace-time.Second {
					at := time.Now()
					wantKey(t, ring, "k", nil, "in the grace")
					if took := time.Since(at); took > keyRefreshWait {
						t.Fatalf("a known key was waited for %v, want at most %v", took, keyRefreshWait)
					}
					time.Sleep(100 * time.Millisecond) //nolint:forbidigo // in a bubble
				}
				time.Sleep(keyGrace) //nolint:forbidigo // in a bubble
				for _, id := range []string{"k", "gone", "never seen"} {
					at := time.Now()
					wantKey(t, ring, id, query.ErrTimeout, "after the grace")
					if took := time.Since(at); took > query.Timeout {
						t.Errorf("%s was waited for %v, want at most %v", id, took, query.Timeout)
					}
				}
				s.change(func(s *shelf) { s.err, s.takes = nil, 0 })
				time.Sleep(2 * keyPause) //nolint:forbidigo // in a bubble
				wantKey(t, ring, "k", nil, "when it is back")
				wantKey(t, ring, "gone", errKeyUnknown, "when it is back")
			})
		})
	}
}

func TestOutageIsNotAskedAgainAtOnce(t *testing.T) {
	t.Parallel()
	inRing(t, func(t *testing.T, ring *keyring, s *shelf) {
		s.change(func(s *shelf) { s.err = migrations.ErrSchema }) // of a kind that is not repeated within one look
		for range 1000 {
			wantKey(t, ring, "k", migrations.ErrSchema, "without a database")
		}
		wantAsked(t, s, 1, "without a database")
	})
}

func TestClientThatHangsUpIsNotWaitedWith(t *testing.T) {
	t.Parallel()
	inRing(t, func(t *testing.T, ring *keyring, s *shelf) {
		s.change(func(s *shelf) { s.takes = 100 * time.Millisecond })
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(httpapi.ErrHungUp)
		if _, err := ring.find(ctx, "k"); !errors.Is(err, httpapi.ErrHungUp) {
			t.Errorf("key = %v, want the context's cause", err)
		}
		wantKey(t, ring, "k", nil, "for the next client")
		wantAsked(t, s, 1, "for both")
	})
}

func TestRingIsBounded(t *testing.T) {
	t.Parallel()
	inRing(t, func(t *testing.T, ring *keyring, _ *shelf) {
		for i := range maxKeys + 1000 {
			wantKey(t, ring, fmt.Sprint(i), errKeyUnknown, "in a crowd")
		}
		wantKey(t, ring, "k", nil, "after the crowd")
		if got := ring.held.Len(); got != maxKeys {
			t.Errorf("the ring holds %d keys, want %d", got, maxKeys)
		}
	})
}

// A flood asks the database nothing, or once.
func TestFloodIsCheap(t *testing.T) {
	t.Parallel()
	inRing(t, func(t *testing.T, ring *keyring, s *shelf) {
		checker := &Checker{apiKey: digest(keyOfTests), hasKey: true, pepper: pepperOfTests, keys: ring}
		refuse := func(key string) {
			t.Helper()
			if who, err := checker.principal(t.Context(), key); !errors.Is(err, errKeyUnknown) {
				t.Fatalf("principal(%q) = %+v, %v; want errKeyUnknown", key, who, err)
			}
		}
		for i := range 10_000 {
			k := apikey.Pepper("0123456789abcdef").New()
			refuse(k.String())
			refuse(fmt.Sprint("wl_", i))
		}
		wantAsked(t, s, 0, "made-up keys")
		kept := pepperOfTests.New()
		full := validKey(kept.ID)
		full.Hash, full.Scopes, full.Models = pepperOfTests.Hash(kept.Secret), []string{"read"}, []string{"m"}
		s.change(func(s *shelf) { s.keys[kept.ID] = full })
		for range 10_000 {
			refuse(apikey.Key{ID: kept.ID, Secret: pepperOfTests.New().Secret}.String())
		}
		who, err := checker.principal(t.Context(), kept.String())
		if err != nil || who.Tenant != "a" || who.KeyID != kept.ID || who.May(http.MethodPost) || !who.May(http.MethodGet) ||
			!who.MaySee("m") || who.MaySee("b") {
			t.Errorf("principal of the kept key = %+v, %v", who, err)
		}
		wantAsked(t, s, 1, "a real id with wrong secrets and the right one")
	})
}
