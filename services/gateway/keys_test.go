package gateway

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/keys"
	"windlass.dev/windlass/pkg/store/storetest"
	"windlass.dev/windlass/services/internal/apikey"
)

const background = `{"model":"m","input":"secret of b","background":true}`

func createdID(t testing.TB, r reply) string {
	t.Helper()
	if r.status != http.StatusOK {
		t.Fatalf("create answered %d %s", r.status, r.body)
	}
	return r.object(t)["id"].(string)
}

func wantRefused(t *testing.T, what string, r reply, status int, code string) {
	t.Helper()
	if r.status != status || r.fault(t)["code"] != code {
		t.Errorf("%s answered %d %s, want %d %s", what, r.status, r.body, status, code)
	}
}

// perID are the API's routes below a path that name something by its id, as
// "METHOD path" with % for the id.
func perID(t *testing.T, below string) []string {
	t.Helper()
	var all []string
	for pattern, methods := range (&server{}).routes() {
		for method := range methods {
			if strings.HasPrefix(pattern, below+"/{id}") {
				all = append(all, method+" "+strings.Replace(pattern, "{id}", "%", 1))
			}
		}
	}
	if len(all) < 3 {
		t.Fatalf("the routes with an id are %v, want at least 3", all)
	}
	return all
}

// alike fails the test unless a tenant gets the same 404 for an id of another
// tenant's and for one that names nothing.
func (s *stand) alike(t *testing.T, what, key, method, path, body, foreign, unknown string) {
	t.Helper()
	want := s.as(key, method, strings.ReplaceAll(path, "%", unknown), strings.ReplaceAll(body, "%", unknown))
	got := s.as(key, method, strings.ReplaceAll(path, "%", foreign), strings.ReplaceAll(body, "%", foreign))
	same(t, what+": "+method+" "+path, got.body, strings.ReplaceAll(string(want.body), unknown, foreign))
	for _, r := range []reply{got, want} {
		r.header.Del("X-Request-Id")
		r.header.Del("Date")
	}
	if diff := cmp.Diff(want.header, got.header); diff != "" || got.status != http.StatusNotFound || want.status != got.status {
		t.Errorf("%s: %s %s answered %d, of an unknown one %d, headers (-unknown +foreign):\n%s",
			what, method, path, got.status, want.status, diff)
	}
}

func TestTenantsDoNotSeeEachOther(t *testing.T) {
	t.Parallel()
	s := raise(t)
	a, _ := s.mint("a")
	b, _ := s.mint("b")
	ids := map[string]string{}
	ids["running"] = createdID(t, s.as(b, "POST", "/v1/responses", background))
	s.commit(s.claim(), run.TurnCommit{Steps: []run.NewStep{{Index: 1, Name: "echo", Pool: "default", CallID: "c", InputHash: []byte{1}}}})
	ids["completed"] = createdID(t, s.as(b, "POST", "/v1/responses", background))
	s.finish(s.claim(), run.Completed, `{"secret":"of b"}`)
	ids["cancelled"] = createdID(t, s.as(b, "POST", "/v1/responses", background))
	s.as(b, "POST", "/v1/responses/"+ids["cancelled"]+"/cancel", "")
	ids["queued"] = createdID(t, s.as(b, "POST", "/v1/responses", background))
	const unknown = "resp_0123456789abcdef0123456789abcdef"
	for state, id := range ids {
		before := s.lookPublic(id)
		if before.Tenant != "b" {
			t.Fatalf("the %s request is of tenant %q, want b", state, before.Tenant)
		}
		for _, route := range perID(t, "/v1/responses") {
			method, path, _ := strings.Cut(route, " ")
			for name, key := range map[string]string{"a": a, "default": testKey} {
				s.alike(t, name+", a "+state+" one", key, method, path, "", id, unknown)
			}
		}
		after := s.lookPublic(id)
		if before.Status != after.Status || before.Epoch != after.Epoch {
			t.Errorf("the %s request became %s by what others asked", state, after.Status)
		}
		if r := s.as(b, "GET", "/v1/responses/"+id, ""); r.status != http.StatusOK {
			t.Errorf("its own tenant reads the %s request as %d %s", state, r.status, r.body)
		}
	}
	if r := s.as(b, "GET", "/v1/responses/"+ids["running"]+"/steps", ""); len(r.object(t)["data"].([]any)) != 2 {
		t.Errorf("its own tenant reads the steps as %d %s, want 2", r.status, r.body)
	}
	if r := s.as(b, "POST", "/v1/responses/"+ids["queued"]+"/cancel", ""); r.object(t)["status"] != "cancelled" {
		t.Errorf("its own tenant's cancel answered %d %s", r.status, r.body)
	}
}

func TestForegroundOfATenantIsItsOwn(t *testing.T) {
	t.Parallel()
	s := raise(t)
	key, _ := s.mint("b")
	r := s.request(t.Context(), "POST", "/v1/responses", foreground)
	r.Header.Set("Authorization", "Bearer "+key)
	answers := s.laterSend(r)
	row := s.claim()
	if row.Tenant != "b" {
		t.Errorf("the row is of tenant %q, want b", row.Tenant)
	}
	s.finish(row, run.Completed, `{"n":1}`)
	s.bus.DoneHint(strings.TrimPrefix(run.ResponseID.Format(row.ID), idPrefix))
	same(t, "foreground answer", receive(t, answers).body, `{"n":1}`)
}

func TestForegroundOfATenantThatHangsUpIsCancelled(t *testing.T) {
	t.Parallel()
	s := raise(t)
	key, _ := s.mint("b")
	ctx, hangUp := context.WithCancel(t.Context())
	r := s.request(ctx, "POST", "/v1/responses", foreground)
	r.Header.Set("Authorization", "Bearer "+key)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if resp, err := s.http.Do(r); err == nil {
			_ = resp.Body.Close()
			t.Errorf("answered %d, want nothing", resp.StatusCode)
		}
	}()
	row := s.claim()
	hangUp()
	<-gone
	eventually(t, "the cancel of an abandoned response", func() bool { return s.look(row.ID).Status == run.Cancelled })
}

func TestKeysThatDoNotOpen(t *testing.T) {
	t.Parallel()
	s := raise(t)
	good, id := s.mint("a")
	other, _ := s.mint("a")
	revoked, revokedID := s.mint("a")
	if _, err := s.apiKeys.Revoke(t.Context(), "", revokedID); err != nil {
		t.Fatal(err)
	}
	expired, _ := s.mint("a", func(n *keys.NewKey) { n.TTL = time.Microsecond })
	for name, key := range map[string]string{
		"revoked": revoked, "expired": expired,
		"never kept":            testPepper.New().String(),
		"another key's secret":  apikey.Key{ID: id, Secret: other[len(other)-52:]}.String(),
		"cut short":             good[:len(good)-1],
		"id only":               "wl_" + id,
		"no secret":             "wl_" + id + "_",
		"made-up id":            apikey.Key{ID: "aaaaaaaaaaaaaaaa", Secret: good[len(good)-52:]}.String(),
		"another pepper's":      apikey.Pepper("0123456789abcdef").New().String(),
		"the secret in capital": good[:len(good)-52] + strings.ToUpper(good[len(good)-52:]),
		"blanks":                strings.Repeat(" ", 70),
	} {
		for _, route := range []string{"POST /v1/responses", "GET /v1/models"} {
			method, path, _ := strings.Cut(route, " ")
			wantRefused(t, name+": "+route, s.as(key, method, path, ""), http.StatusUnauthorized, "invalid_api_key")
		}
	}
	if r := s.as(good, "GET", "/v1/models", ""); r.status != http.StatusOK {
		t.Errorf("the good key answered %d %s", r.status, r.body)
	}
	for _, line := range s.logs.All() {
		if strings.Contains(line.Message, good[len(good)-52:]) {
			t.Errorf("a secret was logged: %v", line)
		}
	}
}

func TestKeysNeedAPepper(t *testing.T) {
	t.Parallel()
	s := raise(t, func(c *Config) { c.KeyPepper = "" })
	key, _ := s.mint("a")
	wantRefused(t, "a key without a pepper", s.as(key, "GET", "/v1/models", ""), http.StatusUnauthorized, "invalid_api_key")
	if r := s.call("GET", "/v1/models", ""); r.status != http.StatusOK {
		t.Errorf("WINDLASS_API_KEY answered %d", r.status)
	}
}

func TestWithoutTheSingleKeyOnlyKeptOnesOpen(t *testing.T) {
	t.Parallel()
	s := raise(t, func(c *Config) { c.APIKey = "" })
	key, _ := s.mint("a")
	wantRefused(t, "the key of other tests", s.call("GET", "/v1/models", ""), http.StatusUnauthorized, "invalid_api_key")
	if r := s.as(key, "GET", "/v1/models", ""); r.status != http.StatusOK {
		t.Errorf("a kept key answered %d", r.status)
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	s := raise(t)
	full, _ := s.mint("a")
	read, _ := s.mint("a", func(n *keys.NewKey) { n.Scopes = []string{apikey.ScopeRead} })
	odd, _ := s.mint("a", func(n *keys.NewKey) { n.Scopes = []string{"of-a-later-release"} })
	id := createdID(t, s.as(full, "POST", "/v1/responses", background))
	for pattern, methods := range (&server{}).routes() {
		path := strings.Replace(pattern, "{id}", id, 1)
		for method := range methods {
			wantRefused(t, "a key of no known scope: "+method+" "+path, s.as(odd, method, path, ""), http.StatusForbidden, "missing_scope")
			if r := s.as(read, method, path, background); method == http.MethodGet {
				if r.status != http.StatusOK && r.status != http.StatusNotFound { // the path may name no response
					t.Errorf("read: %s %s answered %d %s, want it let in", method, path, r.status, r.body)
				}
			} else {
				wantRefused(t, "read: "+method+" "+path, r, http.StatusForbidden, "missing_scope")
			}
		}
	}
	if got := s.lookPublic(id).Status; got != run.Queued || s.backlog() != 1 {
		t.Errorf("the request is %s and %d are queued, want it queued alone", got, s.backlog())
	}
}

func TestModelsOfAKey(t *testing.T) {
	t.Parallel()
	s := raise(t)
	key, _ := s.mint("a", func(n *keys.NewKey) { n.Models = []string{"b", "gone"} })
	ask := func(model string) reply {
		return s.as(key, "POST", "/v1/responses", `{"model":"`+model+`","input":"hi","background":true}`)
	}
	createdID(t, ask("b"))
	unknown := ask("nowhere")
	wantRefused(t, "an unknown model", unknown, http.StatusNotFound, "model_not_found")
	for _, model := range []string{"m", "gone"} {
		r := ask(model)
		if r.status != http.StatusNotFound {
			t.Errorf("model %s answered %d, want 404", model, r.status)
		}
		same(t, "the refusal of "+model, r.body, strings.Replace(string(unknown.body), "'nowhere'", "'"+model+"'", 1))
	}
	models := s.as(key, "GET", "/v1/models", "").object(t)["data"].([]any)
	if len(models) != 1 || models[0].(map[string]any)["id"] != "b" {
		t.Errorf("the key's models are %v, want b", models)
	}
}

func TestRevokeIsHeardOfInTime(t *testing.T) {
	t.Parallel()
	s := raise(t)
	key, id := s.mint("a")
	if r := s.as(key, "GET", "/v1/models", ""); r.status != http.StatusOK {
		t.Fatalf("the key answered %d", r.status)
	}
	if _, err := s.apiKeys.Revoke(t.Context(), "", id); err != nil {
		t.Fatal(err)
	}
	revoked := time.Now()
	eventually(t, "the end of the revoked key", func() bool {
		return s.as(key, "GET", "/v1/models", "").status == http.StatusUnauthorized
	})
	if took := time.Since(revoked); took > 5*time.Second+time.Second {
		t.Errorf("the revoke was heard of after %v, want at most %v", took, 5*time.Second)
	}
}

func TestPostgresAwayIsNotAWrongKey(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]func(*testing.T) string{"refuses": closedPort, "says nothing": silentPort} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := address(t)
			s := raise(t, func(c *Config) { c.Store.URL = "postgres://x:y@" + at + "/z?sslmode=disable" })
			key := testPepper.New()
			for range 2 { // the second is not kept waiting
				began := time.Now()
				r := s.as(key.String(), "GET", "/v1/models", "")
				wantRefused(t, "a key that cannot be looked up", r, http.StatusServiceUnavailable, "service_unavailable")
				if took := time.Since(began); took > honest || r.header.Get("Retry-After") != "1" {
					t.Errorf("answered after %v with %v, want a second at most and Retry-After", took, r.header)
				}
			}
			forged := apikey.Key{ID: "aaaaaaaaaaaaaaaa", Secret: key.Secret}.String()
			wantRefused(t, "a made-up key", s.as(forged, "GET", "/v1/models", ""), http.StatusUnauthorized, "invalid_api_key")
			if r := s.call("GET", "/v1/models", ""); r.status != http.StatusOK {
				t.Errorf("WINDLASS_API_KEY answered %d without a database, want 200", r.status)
			}
		})
	}
}

// A schema without the table of keys says nothing about a key, and is no outage
// either.
func TestMissingTableIsNotAWrongKey(t *testing.T) {
	t.Parallel()
	s := raise(t, func(c *Config) { c.Store.URL = storetest.Database(t, nil) })
	r := s.as(testPepper.New().String(), "GET", "/v1/models", "")
	wantRefused(t, "a key without a table", r, http.StatusInternalServerError, "server_error")
}
