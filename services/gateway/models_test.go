package gateway

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/store/keys"
)

// behindAWildcard is a registry with a wildcard, whose upstream answers every
// GET with the body.
func behindAWildcard(tb testing.TB, status int, body string, more ...registry.Model) func(*Config) {
	tb.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	tb.Cleanup(upstream.Close)
	file := registry.File{Models: append(more,
		registry.Model{Name: "*", Upstream: registry.Upstream{URL: upstream.URL + "/v1"}},
		registry.Model{Name: "m", Upstream: registry.Upstream{URL: "http://127.0.0.1:1/v1"}})}
	r, err := registry.New(file)
	if err != nil {
		tb.Fatal(err)
	}
	return func(c *Config) { c.Registry = r }
}

func (s *stand) listed(key string) []string {
	s.tb.Helper()
	r := s.as(key, "GET", "/v1/models", "")
	if r.status != http.StatusOK {
		s.tb.Fatalf("GET /v1/models answered %d: %s", r.status, r.body)
	}
	var names []string
	for _, m := range r.object(s.tb)["data"].([]any) {
		names = append(names, m.(map[string]any)["id"].(string))
	}
	return names
}

func TestModelsOfTheWildcardsUpstreamAreListed(t *testing.T) {
	t.Parallel()
	const body = `{"data":[{"id":"qwen3:8b","created":7,"owned_by":"library"},{"id":"Qwen/Qwen3-8B"},{"id":"m"},{"id":"*"}]}`
	s := raise(t, behindAWildcard(t, 200, body))
	if got, want := s.listed(testKey), []string{"Qwen/Qwen3-8B", "m", "qwen3:8b"}; !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q: what is configured and what the upstream lists, each once, and no wildcard", got, want)
	}
	one := s.call("GET", "/v1/models/qwen3:8b", "").object(t)
	if one["created"] != 7.0 || one["owned_by"] != "library" || one["object"] != "model" {
		t.Errorf("the model is %v, want it as the upstream describes it", one)
	}
	key, _ := s.mint("acme", func(n *keys.NewKey) { n.Models = []string{"qwen3:8b", "other"} })
	if got, want := s.listed(key), []string{"qwen3:8b"}; !slices.Equal(got, want) {
		t.Errorf("a key for some models sees %q, want %q", got, want)
	}
}

func TestAnUpstreamThatListsNothingTakesNothingFromTheList(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		status int
		body   string
		logs   int
	}{
		{"an empty list", 200, `{"data":[]}`, 0},
		{"an error", 401, `{"error":{"message":"no key"}}`, 1},
		{"a page", 200, `<html></html>`, 1},
		{"nothing there", 404, ``, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := raise(t, behindAWildcard(t, tt.status, tt.body))
			for range 3 {
				if got := s.listed(testKey); !slices.Equal(got, []string{"m"}) {
					t.Errorf("listed %q, want m", got)
				}
			}
			if n := s.logs.FilterMessageSnippet("models not listed").Len(); n != tt.logs {
				t.Errorf("%d log lines about it, want %d", n, tt.logs)
			}
		})
	}
}

// TestModelsAreFoundByNamesWithSlashes: whether the client escapes them or not.
func TestModelsAreFoundByNamesWithSlashes(t *testing.T) {
	t.Parallel()
	const deep = "accounts/fireworks/models/qwen3-8b"
	for name, s := range map[string]*stand{
		"configured": raise(t, behindAWildcard(t, 200, `[]`, registry.Model{Name: deep, Upstream: registry.Upstream{URL: "http://127.0.0.1:1/v1"}})),
		"a wildcard": raise(t, behindAWildcard(t, 200, `[]`)),
	} {
		for path, want := range map[string]string{
			"Qwen/Qwen3-8B": "Qwen/Qwen3-8B", "Qwen%2FQwen3-8B": "Qwen/Qwen3-8B", deep: deep, strings.ReplaceAll(deep, "/", "%2F"): deep,
			"hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M": "hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M", "a%20b": "",
		} {
			got := s.call("GET", "/v1/models/"+path, "")
			if want == "" {
				wantRefused(t, name+" "+path, got, http.StatusNotFound, "model_not_found")
			} else if got.status != 200 || got.object(t)["id"] != want {
				t.Errorf("%s: GET %s answered %d %s, want %s", name, path, got.status, got.body, want)
			}
		}
	}
}

func TestAnUnknownModelNamesNearOnes(t *testing.T) {
	t.Parallel()
	at := registry.Upstream{URL: "http://127.0.0.1:1/v1"}
	s := raise(t, func(c *Config) {
		r, err := registry.New(registry.File{Models: []registry.Model{
			{Name: "gpt-4o", Upstream: at}, {Name: "gpt-4o-mini", Upstream: at}, {Name: "Qwen/Qwen3-8B", Upstream: at},
		}})
		if err != nil {
			t.Fatal(err)
		}
		c.Registry = r
	})
	narrow, _ := s.mint("acme", func(n *keys.NewKey) { n.Models = []string{"gpt-4o-mini"} })
	for _, tt := range []struct {
		name, key, model string
		hint, hidden     string
	}{
		{"a slip", testKey, "gpt4o", "Did you mean 'gpt-4o'?", "Qwen"},
		{"without its owner", testKey, "qwen3-8b", "Did you mean 'Qwen/Qwen3-8B'?", "gpt"},
		{"nothing near", testKey, "claude", "Your key may use 'Qwen/Qwen3-8B', 'gpt-4o' and 'gpt-4o-mini'.", "Did you mean"},
		{"a key for one model", narrow, "gpt-4o", "Did you mean 'gpt-4o-mini'?", "Qwen"},
		{"nothing near for a key for one model", narrow, "qwen3-8b", "Your key may use 'gpt-4o-mini'.", "Qwen"},
	} {
		for path, body := range map[string]string{
			"/v1/responses": `{"model":"` + tt.model + `","input":"x"}`, "/v1/chat/completions": `{"model":"` + tt.model + `","messages":[{"role":"user"}]}`,
		} {
			got := s.as(tt.key, "POST", path, body)
			wantRefused(t, tt.name, got, http.StatusNotFound, "model_not_found")
			text, _ := got.fault(t)["message"].(string)
			if !strings.HasPrefix(text, "The model '"+tt.model+"' does not exist") || !strings.HasSuffix(text, " "+tt.hint) || strings.Contains(text, tt.hidden) {
				t.Errorf("%s: %s says %q, want the hint %q without %q", tt.name, path, text, tt.hint, tt.hidden)
			}
		}
	}
}
