package keys_test

import (
	"bytes"
	"errors"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/keys"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/runtest"
)

func newKey(id string, change ...func(*keys.NewKey)) keys.NewKey {
	n := keys.NewKey{ID: id, Tenant: runtest.Tenant, Hash: bytes.Repeat([]byte{7}, 32), Scopes: []string{"responses"}}
	for _, c := range change {
		c(&n)
	}
	return n
}

func created(tb testing.TB, s *runtest.World, n keys.NewKey) {
	tb.Helper()
	if _, err := s.Keys.Create(tb.Context(), n); err != nil {
		tb.Fatal(err)
	}
}

func key(tb testing.TB, s *runtest.World, id string) *keys.Key {
	tb.Helper()
	k, err := s.Keys.Read(tb.Context(), id)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func TestKeyIsReadAsCreated(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	created(t, s, newKey("a", func(n *keys.NewKey) {
		n.Name, n.Scopes, n.Models, n.TTL = "ci", []string{"read", "responses"}, []string{"m", "b"}, time.Hour
	}))
	got := key(t, s, "a")
	want := &keys.Key{
		ID: "a", Tenant: runtest.Tenant, Name: "ci", Hash: bytes.Repeat([]byte{7}, 32), Scopes: []string{"read", "responses"},
		Models: []string{"m", "b"},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(keys.Key{}, "CreatedAt", "ExpiresAt", "Remaining")); diff != "" {
		t.Errorf("key differs (-want +got):\n%s", diff)
	}
	if got.Remaining > time.Hour || got.Remaining < 59*time.Minute || got.ExpiresAt.Sub(got.CreatedAt) != time.Hour {
		t.Errorf("the key ends in %v, an hour after it was made: %v", got.Remaining, got.ExpiresAt.Sub(got.CreatedAt))
	}
	created(t, s, newKey("b"))
	if b := key(t, s, "b"); b.Models != nil || b.ExpiresAt != nil || b.Remaining != math.MaxInt64 || b.State() != "active" {
		t.Errorf("a key without limits is %+v", b)
	}
	if _, err := s.Keys.Read(t.Context(), "c"); !errors.Is(err, store.ErrNotFound) || postgres.Unavailable(err) {
		t.Errorf("Read of an unknown key = %v, want ErrNotFound", err)
	}
}

func TestKeysReadAtTheSameTimeAreToldApart(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	for _, id := range []string{"a", "b", "c"} {
		created(t, s, newKey(id, func(n *keys.NewKey) { n.Tenant = "tenant-" + id }))
	}
	var all sync.WaitGroup
	defer all.Wait()
	for range 50 {
		for _, id := range []string{"a", "missing", "b", "c", "a"} {
			all.Go(func() {
				k, err := s.Keys.Read(t.Context(), id)
				if id == "missing" {
					if !errors.Is(err, store.ErrNotFound) {
						t.Errorf("Read of an unknown key = %v, %v; want ErrNotFound", k, err)
					}
				} else if err != nil || k.Tenant != "tenant-"+id {
					t.Errorf("Key(%s) = %+v, %v", id, k, err)
				}
			})
		}
	}
}

func TestKeyThatMayNotBeIsRefused(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	created(t, s, newKey("taken"))
	for name, n := range map[string]keys.NewKey{
		"taken id":         newKey("taken", func(n *keys.NewKey) { n.Hash = bytes.Repeat([]byte{8}, 32) }),
		"taken by another": newKey("taken", func(n *keys.NewKey) { n.Tenant = "other" }),
		"no tenant":        newKey("x", func(n *keys.NewKey) { n.Tenant = "" }),
		"tenant of a dot":  newKey("x", func(n *keys.NewKey) { n.Tenant = "a.b" }),
		"no scope":         newKey("x", func(n *keys.NewKey) { n.Scopes = []string{} }),
		"no model at all":  newKey("x", func(n *keys.NewKey) { n.Models = []string{} }),
		"short hash":       newKey("x", func(n *keys.NewKey) { n.Hash = []byte{1} }),
	} {
		if _, err := s.Keys.Create(t.Context(), n); err == nil || postgres.Unavailable(err) {
			t.Errorf("%s: Create = %v, want a refusal", name, err)
		}
	}
}

func TestKeyMadeTwiceIsOne(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	n := newKey("a", func(n *keys.NewKey) { n.TTL = time.Hour; n.Most = 1 })
	first, err := s.Keys.Create(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Keys.Create(t.Context(), n) // its answer was lost
	if err != nil || !again.ExpiresAt.Equal(*first.ExpiresAt) {
		t.Errorf("made again, it is %+v, %v, want %+v", again, err, first)
	}
	for want, n := range map[error]keys.NewKey{
		keys.ErrExists:  newKey("a", func(n *keys.NewKey) { n.Hash = bytes.Repeat([]byte{8}, 32) }),
		keys.ErrTooMany: newKey("b", func(n *keys.NewKey) { n.Most = 1 }),
	} {
		_, err := s.Keys.Create(t.Context(), n)
		runtest.WantErr(t, "Create", err, want)
	}
	created(t, s, newKey("b", func(n *keys.NewKey) { n.Most = 2 }))
	created(t, s, newKey("c"))
	created(t, s, newKey("d", func(n *keys.NewKey) { n.Tenant, n.Most = "other", 1 }))
}

func TestRevokeWithinATenant(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	created(t, s, newKey("a"))
	if _, err := s.Keys.Revoke(t.Context(), "other", "a"); !errors.Is(err, store.ErrNotFound) || key(t, s, "a").State() != "active" {
		t.Errorf("another tenant's revoke = %v, and the key is %s", err, key(t, s, "a").State())
	}
	if k, err := s.Keys.Revoke(t.Context(), runtest.Tenant, "a"); err != nil || k.State() != "revoked" {
		t.Errorf("its tenant's revoke = %+v, %v", k, err)
	}
}

func TestToolsOfAKey(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	for id, tools := range map[string][]string{"all": nil, "none": {}, "some": {"a", "b"}} {
		created(t, s, newKey(id, func(n *keys.NewKey) { n.Tools = tools }))
		if diff := cmp.Diff(tools, key(t, s, id).Tools); diff != "" {
			t.Errorf("the tools of a key with %s differ (-want +got):\n%s", id, diff)
		}
	}
}

func TestKeysEnd(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	created(t, s, newKey("a"))
	created(t, s, newKey("b", func(n *keys.NewKey) { n.Tenant, n.TTL = "other", time.Hour }))
	runtest.Exec(t, s, `UPDATE keys SET expires_at = now() - interval '1 second' WHERE id = 'b'`)
	if got := key(t, s, "b"); got.State() != "expired" || got.Remaining > 0 {
		t.Errorf("a key past its end is %s, %v left", got.State(), got.Remaining)
	}
	first, err := s.Keys.Revoke(t.Context(), "", "a")
	if err != nil || first.State() != "revoked" {
		t.Fatalf("Revoke = %+v, %v", first, err)
	}
	again, err := s.Keys.Revoke(t.Context(), "", "a")
	if err != nil || !again.RevokedAt.Equal(*first.RevokedAt) {
		t.Errorf("Revoke once more = %+v, %v; want it revoked at %v", again, err, first.RevokedAt)
	}
	if _, err := s.Keys.Revoke(t.Context(), "", "c"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("RevokeRead of an unknown key = %v, want ErrNotFound", err)
	}
	for tenant, want := range map[string][]string{"": {"a revoked", "b expired"}, "other": {"b expired"}, "missing": {}} {
		all, err := s.Keys.List(t.Context(), tenant)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, postgres.Column(all, func(k keys.Key) string { return k.ID + " " + k.State() })); diff != "" {
			t.Errorf("List(%q) differs (-want +got):\n%s", tenant, diff)
		}
	}
}
