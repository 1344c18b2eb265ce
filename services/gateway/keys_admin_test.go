package gateway

import (
	"crypto/sha256"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/store/idempotency"
	"windlass.dev/windlass/pkg/store/keys"
	"windlass.dev/windlass/services/internal/apikey"
)

func admin(n *keys.NewKey) { n.Scopes = []string{apikey.ScopeAdmin} }

func TestKeysOverHTTP(t *testing.T) {
	t.Parallel()
	s := raise(t)
	boss, bossID := s.mint("a", admin)
	r := s.as(boss, "POST", "/v1/keys", `{"name":"ci","models":["m"],"tools":[],"scopes":["responses"],"expires_in":3600}`)
	made := r.object(t)
	key, ok := made["key"].(string)
	if r.status != http.StatusOK || !ok || r.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("POST /v1/keys answered %d %v %s", r.status, r.header, r.body)
	}
	id := made["id"].(string)
	if !strings.HasPrefix(key, "wl_"+id+"_") || made["expires_at"].(float64)-made["created_at"].(float64) != 3600 {
		t.Errorf("the key %s is %s", key, r.body)
	}
	delete(made, "key")
	read := s.as(boss, "GET", "/v1/keys/"+id, "").object(t)
	if diff := cmp.Diff(made, read); diff != "" {
		t.Errorf("read, the key differs (-made +read):\n%s", diff)
	}
	for _, field := range []string{"created_at", "expires_at", "id"} {
		delete(read, field)
	}
	want := map[string]any{
		"object": "key", "name": "ci", "scopes": []any{"responses"}, "models": []any{"m"}, "tools": []any{}, "status": "active", "revoked_at": nil,
	}
	if diff := cmp.Diff(want, read); diff != "" {
		t.Errorf("the key differs (-want +got):\n%s", diff)
	}

	createdID(t, s.as(key, "POST", "/v1/responses", background))
	wantRefused(t, "another model", s.as(key, "POST", "/v1/responses", strings.Replace(background, `"m"`, `"b"`, 1)), http.StatusNotFound, "model_not_found")
	var listed []string
	for _, one := range s.as(boss, "GET", "/v1/keys", "").object(t)["data"].([]any) {
		listed = append(listed, one.(map[string]any)["id"].(string))
	}
	if diff := cmp.Diff([]string{id, bossID}, listed); diff != "" {
		t.Errorf("the list, newest first, differs (-want +got):\n%s", diff)
	}
	for range 2 {
		r := s.as(boss, "DELETE", "/v1/keys/"+id, "")
		same(t, "the revoke", r.body, `{"deleted":true,"id":"`+id+`","object":"key.deleted"}`+"\n")
	}
	if got := s.as(boss, "GET", "/v1/keys/"+id, "").object(t); got["status"] != "revoked" || got["revoked_at"] == nil {
		t.Errorf("the revoked key is %v", got)
	}
	eventually(t, "the end of the revoked key", func() bool {
		return s.as(key, "GET", "/v1/models", "").status == http.StatusUnauthorized
	})
	for _, line := range s.logs.All() {
		for _, field := range line.Context {
			if strings.Contains(field.String, key[len(key)-52:]) {
				t.Errorf("the secret was logged: %v", line)
			}
		}
	}
}

func TestOnlyAdminsManageKeys(t *testing.T) {
	t.Parallel()
	s := raise(t)
	boss, _ := s.mint("a", admin)
	user, userID := s.mint("a")
	reader, _ := s.mint("a", func(n *keys.NewKey) { n.Scopes = []string{apikey.ScopeRead} })
	for _, route := range []string{"GET /v1/keys", "POST /v1/keys", "GET /v1/keys/" + userID, "DELETE /v1/keys/" + userID} {
		method, path, _ := strings.Cut(route, " ")
		for _, key := range []string{user, reader} {
			r := s.as(key, method, path, "")
			wantRefused(t, route, r, http.StatusForbidden, "missing_scope")
			if message := r.fault(t)["message"].(string); !strings.HasSuffix(message, "Missing scopes: admin.") {
				t.Errorf("%s answers %q", route, message)
			}
		}
	}
	for _, route := range []string{"POST /v1/responses", "GET /v1/responses/resp_0123456789abcdef0123456789abcdef", "GET /v1/models"} {
		method, path, _ := strings.Cut(route, " ")
		wantRefused(t, "an admin's "+route, s.as(boss, method, path, background), http.StatusForbidden, "missing_scope")
	}
	if r := s.call("GET", "/v1/keys", ""); r.status != http.StatusOK {
		t.Errorf("WINDLASS_API_KEY lists keys as %d %s", r.status, r.body)
	}
}

func TestKeysOfOthersAreNotThere(t *testing.T) {
	t.Parallel()
	s := raise(t)
	boss, _ := s.mint("a", admin)
	foreign, foreignID := s.mint("b")
	for _, route := range []string{"GET /v1/keys/%", "DELETE /v1/keys/%"} {
		method, path, _ := strings.Cut(route, " ")
		s.alike(t, "a", boss, method, path, "", foreignID, "aaaaaaaaaaaaaaaa")
		for _, id := range []string{"x", strings.ToUpper(foreignID), foreign, "%00", "..."} {
			if r := s.as(boss, method, "/v1/keys/"+id, ""); r.status != http.StatusNotFound {
				t.Errorf("%s of %q answered %d", route, id, r.status)
			}
		}
	}
	if r := s.as(foreign, "GET", "/v1/models", ""); r.status != http.StatusOK {
		t.Errorf("the other tenant's key answers %d after all that", r.status)
	}
}

func TestKeysMakeNoStrongerKeys(t *testing.T) {
	t.Parallel()
	s := raise(t)
	boss, _ := s.mint("a", admin, func(n *keys.NewKey) { n.Models, n.Tools = []string{"m"}, []string{"t"} })
	made := s.as(boss, "POST", "/v1/keys", `{"scopes":["admin","responses"]}`).object(t)
	if diff := cmp.Diff([]any{[]any{"m"}, []any{"t"}}, []any{made["models"], made["tools"]}); diff != "" {
		t.Errorf("what was left out differs from the maker's (-want +got):\n%s", diff)
	}
	for body, param := range map[string]string{`{"models":["m","b"]}`: "models[1]", `{"tools":["u"]}`: "tools[0]", `{"name":"\u0000"}`: "name"} {
		r := s.as(boss, "POST", "/v1/keys", body)
		if wantRefused(t, body, r, http.StatusBadRequest, "invalid_value"); r.fault(t)["param"] != param {
			t.Errorf("%s is refused for %v", body, r.fault(t)["param"])
		}
	}
}

// A secret is in no answer but the first, and nowhere in the database.
func TestAKeyMadeOnceIsShownOnce(t *testing.T) {
	t.Parallel()
	s := raise(t)
	boss, _ := s.mint("a", admin)
	ask := func() map[string]any {
		r := s.request(t.Context(), "POST", "/v1/keys", `{"name":"ci"}`)
		r.Header.Set("Authorization", "Bearer "+boss)
		r.Header.Set("Idempotency-Key", "k")
		return s.send(r).object(t)
	}
	first, again := ask(), ask()
	if key, ok := first["key"].(string); !ok || s.as(key, "GET", "/v1/models", "").status != http.StatusOK {
		t.Errorf("the first answer is %v", first)
	}
	delete(first, "key")
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("the repeat differs from the first, except for the key (-first +repeat):\n%s", diff)
	}
	all, err := s.apiKeys.List(t.Context(), "a")
	if err != nil || len(all) != 2 || !slices.ContainsFunc(all, func(k keys.Key) bool { return k.ID == first["id"] }) {
		t.Errorf("the keys are %+v, %v, want the one that was made beside the admin's", all, err)
	}
}

// Who died with the Idempotency-Key held may have made the key. Its secret is
// lost, and must not become another one.
func TestAKeyWhoseMakerDiedIsShownWithoutItsSecret(t *testing.T) {
	t.Parallel()
	s := raise(t)
	boss, _ := s.mint("a", admin)
	r := s.request(t.Context(), "POST", "/v1/keys", `{"name":"ci"}`)
	r.Header.Set("Authorization", "Bearer "+boss)
	r.Header.Set("Idempotency-Key", "k")
	seed := uuid.New()
	hash := sha256.Sum256([]byte("POST /v1/keys\n" + `{"name":"ci"}`)) // as package idempotency makes it
	once := idempotency.Key{Key: "k", Hash: hash[:]}
	if _, err := s.idempotency.Hold(t.Context(), "a", once, seed, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	lost := testPepper.NewAs(seed[:])
	n := keys.NewKey{ID: lost.ID, Tenant: "a", Name: "ci", Hash: testPepper.Hash(lost.Secret), Scopes: []string{apikey.ScopeRead}}
	if _, err := s.apiKeys.Create(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if got := s.send(r).object(t); got["id"] != lost.ID || got["key"] != nil {
		t.Errorf("the repeat is answered %v, want %s without its secret", got, lost.ID)
	}
	if r := s.as(lost.String(), "GET", "/v1/models", ""); r.status != http.StatusOK {
		t.Errorf("the key itself answers %d", r.status)
	}
}

func TestKeysCannotBeMadeWithoutAPepper(t *testing.T) {
	t.Parallel()
	s := raise(t, func(c *Config) { c.KeyPepper = "" })
	wantRefused(t, "a key", s.call("POST", "/v1/keys", ""), http.StatusBadRequest, "keys_unavailable")
}
