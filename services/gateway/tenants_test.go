package gateway

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/auth"
)

const registryText = `
models:
  - {name: m, upstream: {url: http://127.0.0.1:1/v1}}
  - {name: b, upstream: {url: http://127.0.0.1:1/v1}}
`

// logged counts the lines that say so.
func (s *stand) logged(message string) int {
	return s.logs.FilterMessage(message).Len()
}

// rewrite puts a registry file where gateways read it, in one step.
func rewrite(tb testing.TB, path, text string) {
	tb.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		tb.Fatal(err)
	}
}

func TestTenantsAreReadAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "registry.yaml")
	rewrite(t, path, registryText)
	s := raise(t, func(c *Config) { c.Registry, c.RegistryFile = nil, path })
	limit := func() string { return quotas(s.call("POST", "/v1/responses", background))["limit-requests"] }
	if got := limit(); got != "" {
		t.Fatalf("before there is a limit it is said to be %q", got)
	}
	const readAgain = "tenants read again"
	rewrite(t, path, registryText+"tenants: [{name: default, requests_per_minute: 100}]\n")
	eventually(t, "the new limit", func() bool { return s.logged(readAgain) == 1 })
	if got := limit(); got != "100" {
		t.Errorf("the new limit is said to be %q, want 100", got)
	}
	rewrite(t, path, registryText+"tenants: [{name: default, requests_per_minute: many}]\n")
	eventually(t, "the refusal", func() bool { return s.logged("registry file refused, tenants stay as they were") == 1 })
	if got := limit(); got != "100" {
		t.Errorf("after a faulty file the limit is said to be %q, want 100", got)
	}
	rewrite(t, path, strings.Replace(registryText, "name: b", "name: c", 1)+"tenants: [{name: default, models: [b, c]}]\n")
	eventually(t, "the refusal", func() bool { return s.logged("registry file refused, tenants stay as they were") == 2 })
	rewrite(t, path, strings.Replace(registryText, "name: b", "name: c", 1)+"tenants: [{name: default, models: [m]}]\n")
	eventually(t, "the end of the limit", func() bool { return s.logged(readAgain) == 2 })
	if got := limit(); got != "" {
		t.Errorf("the limit that is gone is said to be %q", got)
	}
	if n := s.logged("registry file changed, but for tenants that takes a restart of all services"); n != 1 {
		t.Errorf("%d lines say that a restart is needed, want 1", n)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the word of the missing file", func() bool { return s.logged("registry file not read, tenants stay as they were") == 1 })
	r := s.call("POST", "/v1/responses", strings.Replace(background, `"m"`, `"b"`, 1))
	wantRefused(t, "a model that the tenant lost", r, http.StatusNotFound, "model_not_found")
}

// What a tenant uses while its tokens are not limited is not held against it
// when they are again.
func TestTokensOfALimitThatIsGoneAreForgotten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "registry.yaml")
	const limited = registryText + "tenants: [{name: default, tokens_per_minute: 60}]\n"
	rewrite(t, path, limited)
	s := raise(t, func(c *Config) { c.Registry, c.RegistryFile = nil, path })
	use := func() {
		t.Helper()
		createdID(t, s.call("POST", "/v1/responses", background))
		row := s.claim()
		s.commit(row, run.TurnCommit{Outcome: run.Completed, Output: []byte(`[]`), InputTokens: 600})
		err := s.store.Settle(t.Context(), store.Settlement{
			ID: row.ID, Tenant: auth.DefaultTenant, Epoch: row.Epoch, Status: run.Completed, Answer: []byte(`{}`), AfterWork: true,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	use()
	wantOver(t, "one after 600 tokens of 60", s.call("POST", "/v1/responses", background), 541*time.Second, "tokens per min")
	rewrite(t, path, registryText)
	eventually(t, "the end of the limit", func() bool { return s.logged("tenants read again") == 1 })
	use()
	rewrite(t, path, limited)
	eventually(t, "the limit", func() bool { return s.logged("tenants read again") == 2 })
	createdID(t, s.call("POST", "/v1/responses", background))
}
