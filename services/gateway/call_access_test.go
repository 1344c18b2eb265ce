package gateway

import (
	"net/http"
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/keys"
	"windlass.dev/windlass/services/gateway/internal/auth"
)

// No route reads a call: not under the routes of responses, and of its
// trail only its tenant sees what happened.
func TestWhoSeesACall(t *testing.T) {
	t.Parallel()
	s := raise(t)
	key, _ := s.mint("a", func(n *keys.NewKey) { n.Models = []string{"m"} })
	stranger, _ := s.mint("b")
	request := s.request(t.Context(), "POST", chatPath, chatBody)
	request.Header.Set("Authorization", "Bearer "+key)
	answers := s.laterSend(request)
	row := s.claim()
	id, response := callPrefix+run.Hex(row.ID), run.ResponseID.Format(row.ID)
	trail := func(key, id string) reply { return s.as(key, "GET", "/v1/requests/"+id+"/steps", "") }
	hidden := func(when string) {
		t.Helper()
		for _, route := range []string{"GET /v1/responses/%", "DELETE /v1/responses/%", "POST /v1/responses/%/cancel", "GET /v1/responses/%/steps", "GET /v1/responses/%/input_items"} {
			method, path, _ := strings.Cut(strings.Replace(route, "%", response, 1), " ")
			if r := s.as(key, method, path, ""); r.status != http.StatusNotFound {
				t.Errorf("%s: %s answered %d %s, want 404", when, route, r.status, r.body)
			}
		}
		r := s.as(key, "POST", "/v1/responses", `{"model":"m","input":"x","previous_response_id":"`+response+`"}`)
		wantRefused(t, when+": a continuation", r, http.StatusBadRequest, "previous_response_not_found")
		unknown := callPrefix + strings.Repeat("0", 32)
		for name, r := range map[string]reply{"another tenant's": trail(stranger, id), "an unknown one's": trail(key, unknown), "a response's": trail(key, response)} {
			if r.status != http.StatusNotFound {
				t.Errorf("%s: %s trail answered %d %s, want 404", when, name, r.status, r.body)
			}
		}
		same(t, "what a stranger sees", trail(stranger, id).body, strings.ReplaceAll(string(trail(stranger, unknown).body), unknown, id))
	}
	hidden("in progress")
	s.end(row, run.TurnCommit{Output: []byte(`{"secret":1}`), InputTokens: 3, OutputTokens: 4, Outcome: run.Completed})
	receive(t, answers)
	hidden("at its end")
	r := trail(key, id)
	if strings.Contains(string(r.body), "secret") || r.status != http.StatusOK {
		t.Fatalf("the trail is %d %s", r.status, r.body)
	}
	steps := r.object(t)["data"].([]any)
	step := steps[0].(map[string]any)
	usage, _ := step["usage"].(map[string]any)
	if len(steps) != 1 || step["object"] != "request.step" || step["kind"] != "model" || step["state"] != "done" || step["output"] != nil ||
		usage["input_tokens"] != 3.0 || usage["output_tokens"] != 4.0 {
		t.Errorf("the trail is %s", r.body)
	}
}

func TestATrailOfAQueuedCallIsEmpty(t *testing.T) {
	t.Parallel()
	s := raise(t)
	n := store.NewRequest{ID: [16]byte{7}, Tenant: auth.DefaultTenant, Endpoint: "embeddings", Model: "m", Lane: "m", Body: []byte(`{}`), Timeout: 1e12, Unstored: true}
	if _, err := s.store.Accept(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	r := s.call("GET", "/v1/requests/"+callPrefix+run.Hex(n.ID)+"/steps", "")
	same(t, "the trail", r.body, `{"object":"list","data":[],"has_more":false}`+"\n")
	for _, id := range []string{"req_1", "req_", strings.ToUpper(run.Hex(n.ID)), callPrefix + strings.ToUpper("abcdef0123456789abcdef0123456789")} {
		if r := s.call("GET", "/v1/requests/"+id+"/steps", ""); r.status != http.StatusNotFound {
			t.Errorf("the trail of %s answered %d, want 404", id, r.status)
		}
	}
}

func TestCallsOfAKeysModels(t *testing.T) {
	t.Parallel()
	s := raise(t)
	key, _ := s.mint("a", func(n *keys.NewKey) { n.Models = []string{"b"} })
	for path, body := range map[string]string{chatPath: chatBody, "/v1/embeddings": `{"model":"m","input":"x"}`, "/v1/completions": `{"model":"m"}`} {
		wantRefused(t, path, s.as(key, "POST", path, body), http.StatusNotFound, "model_not_found")
	}
	// Whichever of two names an upstream would take, the key was asked about
	// the one that is sent.
	wantRefused(t, "a model named twice", s.as(key, "POST", chatPath, `{"model":"b","messages":[{}],"model":"m"}`), http.StatusNotFound, "model_not_found")
	if n := s.backlog(); n != 0 {
		t.Errorf("%d requests queued, want none", n)
	}
}

func TestOneModel(t *testing.T) {
	t.Parallel()
	up := registry.Upstream{URL: "http://127.0.0.1:1/v1"}
	build := func(names ...string) *registry.Registry {
		var file registry.File
		for _, name := range names {
			file.Models = append(file.Models, registry.Model{Name: name, Upstream: up})
		}
		r, err := registry.New(file)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	listed := raise(t, func(c *Config) { c.Registry = build("m", "Qwen/Qwen3.5") })
	all := raise(t, func(c *Config) { c.Registry = build("m", "*") })
	narrow, _ := listed.mint("a", func(n *keys.NewKey) { n.Models = []string{"m"} })
	for _, tt := range []struct {
		s         *stand
		key, path string
		model     string // "" if unset
	}{
		{listed, testKey, "m", "m"},
		{listed, testKey, "Qwen/Qwen3.5", "Qwen/Qwen3.5"},
		{listed, testKey, "Qwen%2FQwen3.5", "Qwen/Qwen3.5"},
		{listed, testKey, "nowhere", ""},
		{listed, testKey, "*", ""},
		{listed, narrow, "m", "m"},
		{listed, narrow, "Qwen/Qwen3.5", ""},
		{all, testKey, "anything", "anything"},
		{all, testKey, "any/thing", "any/thing"},
		{all, testKey, "*", ""},
		{all, testKey, "with%20blank", ""},
	} {
		r := tt.s.as(tt.key, "GET", "/v1/models/"+tt.path, "")
		if tt.model == "" {
			wantRefused(t, tt.path, r, http.StatusNotFound, "model_not_found")
			continue
		}
		if o := r.object(t); r.status != http.StatusOK || o["id"] != tt.model || o["object"] != "model" || o["owned_by"] != "windlass" {
			t.Errorf("%s answered %d %s, want the model %s", tt.path, r.status, r.body, tt.model)
		}
	}
	wantRefused(t, "a request for the wildcard", all.call("POST", "/v1/responses", `{"model":"*","input":"x"}`), http.StatusNotFound, "model_not_found")
}
