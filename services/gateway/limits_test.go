package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/keys"
	"windlass.dev/windlass/services/gateway/internal/auth"
)

// tenanted is a configuration with tenants.
func tenanted(tb testing.TB, all ...registry.Tenant) func(*Config) {
	tb.Helper()
	return func(c *Config) {
		file := models(tb, time.Hour).File()
		file.Tenants = all
		reg, err := registry.New(file)
		if err != nil {
			tb.Fatal(err)
		}
		c.Registry = reg
	}
}

// quotas are the headers about limits, by what follows x-ratelimit-.
func quotas(r reply) map[string]string {
	got := map[string]string{}
	for name := range r.header {
		if rest, ok := strings.CutPrefix(strings.ToLower(name), "x-ratelimit-"); ok {
			got[rest] = r.header.Get(name)
		}
	}
	return got
}

// wantOver wants a 429 with a time to retry of about want.
func wantOver(t *testing.T, what string, r reply, want time.Duration, words string) {
	t.Helper()
	wantRefused(t, what, r, http.StatusTooManyRequests, "rate_limit_exceeded")
	ms, err := strconv.Atoi(r.header.Get("Retry-After-Ms"))
	secs, err2 := strconv.Atoi(r.header.Get("Retry-After"))
	got := time.Duration(ms) * time.Millisecond
	if err != nil || err2 != nil || got > want || got < want-patienceOfTests || time.Duration(secs)*time.Second < got {
		t.Errorf("%s is to retry after %v ms and %v s, want about %v", what, r.header["Retry-After-Ms"], r.header["Retry-After"], want)
	}
	again := fmt.Sprintf("Please try again in %ss.", strconv.FormatFloat(got.Seconds(), 'f', -1, 64))
	if message := r.fault(t)["message"].(string); !strings.Contains(message, words) || !strings.HasSuffix(message, again) {
		t.Errorf("%s answers %q, want %q and %q", what, message, words, again)
	}
}

func TestRequestsPerMinute(t *testing.T) {
	t.Parallel()
	s := raise(t, tenanted(t, registry.Tenant{Name: "a", RequestsPerMinute: 2}))
	a, _ := s.mint("a")
	b, _ := s.mint("b")
	for left := 1; left >= 0; left-- {
		r := s.as(a, "POST", "/v1/responses", background)
		createdID(t, r)
		got := quotas(r)
		reset, err := time.ParseDuration(got["reset-requests"])
		used := time.Duration(2-left) * 30 * time.Second
		if err != nil || reset > used || reset < used-patienceOfTests {
			t.Errorf("the allowance is said to be whole again after %q, want about %v", got["reset-requests"], used)
		}
		delete(got, "reset-requests")
		if diff := cmp.Diff(map[string]string{"limit-requests": "2", "remaining-requests": strconv.Itoa(left)}, got); diff != "" {
			t.Errorf("the headers differ (-want +got):\n%s", diff)
		}
	}
	rows := s.backlog()
	for name, ask := range map[string]func() reply{
		"background": func() reply { return s.as(a, "POST", "/v1/responses", background) },
		"foreground": func() reply { return s.as(a, "POST", "/v1/responses", foreground) },
		"a stream":   func() reply { return s.as(a, "POST", "/v1/responses", `{"model":"m","input":"hi","stream":true}`) },
		"chat": func() reply {
			return s.as(a, "POST", "/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":"hi"}]}`)
		},
		"chat, streamed": func() reply {
			return s.as(a, "POST", "/v1/chat/completions", `{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}`)
		},
		"completion": func() reply { return s.as(a, "POST", "/v1/completions", `{"model":"m","prompt":"hi"}`) },
		"embedding":  func() reply { return s.as(a, "POST", "/v1/embeddings", `{"model":"m","input":"hi"}`) },
	} {
		r := ask()
		wantOver(t, name, r, 30*time.Second, "Rate limit reached for tenant a on requests per min (RPM): Limit 2.")
		if got := quotas(r); got["limit-requests"] != "2" || got["remaining-requests"] != "0" {
			t.Errorf("%s is refused with %v, want none left of 2", name, got)
		}
	}
	if got := s.backlog(); got != rows {
		t.Errorf("%d requests are queued, want the %d accepted ones", got, rows)
	}
	const counted = `
# HELP windlass_limit_refusals_total Requests over a limit of their tenant, by limit.
# TYPE windlass_limit_refusals_total counter
windlass_limit_refusals_total{limit="requests"} 7
`
	if err := testutil.GatherAndCompare(s.rt.Metrics, strings.NewReader(counted), "windlass_limit_refusals_total"); err != nil {
		t.Error(err)
	}
	r := s.as(b, "POST", "/v1/responses", background)
	if createdID(t, r); len(quotas(r)) != 0 {
		t.Errorf("a tenant without limits sees %v", quotas(r))
	}
	for _, path := range []string{"/v1/models", "/v1/responses/resp_0123456789abcdef0123456789abcdef"} { // reading is not limited
		if r := s.as(a, "GET", path, ""); r.status == http.StatusTooManyRequests || len(quotas(r)) != 0 {
			t.Errorf("GET %s answered %d with %v", path, r.status, quotas(r))
		}
	}
}

func TestEveryAcceptedRequestIsToldWhatIsLeft(t *testing.T) {
	t.Parallel()
	s := raise(t, tenanted(t, registry.Tenant{Name: auth.DefaultTenant, RequestsPerMinute: 100}), func(c *Config) { c.PollInterval = 20 * time.Millisecond })
	for name, ask := range map[string][2]string{
		"foreground": {"/v1/responses", foreground}, "stream": {"/v1/responses", `{"model":"m","input":"hi","stream":true}`}, "chat": {chatPath, chatBody},
		"chat, streamed": {chatPath, `{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}`},
		"completion":     {"/v1/completions", `{"model":"m","prompt":"hi"}`}, "embedding": {"/v1/embeddings", `{"model":"m","input":"hi"}`},
		"compaction": {"/v1/responses/compact", `{"model":"m","input":"hi"}`},
	} {
		answers := s.later("POST", ask[0], ask[1])
		s.end(s.claim(), failedCall(run.Failure{Code: "x", Message: "x"}))
		if got := quotas(receive(t, answers)); got["limit-requests"] != "100" || got["remaining-requests"] == "" || got["reset-requests"] == "" {
			t.Errorf("%s sees %v, want what is left of 100", name, got)
		}
	}
}

func TestBadRequestsAreNotCounted(t *testing.T) {
	t.Parallel()
	s := raise(t, tenanted(t, registry.Tenant{Name: "*", RequestsPerMinute: 1}))
	for _, body := range []string{`{`, `{"model":"m"}`, `{"model":"none","input":"hi"}`} {
		if r := s.call("POST", "/v1/responses", body); r.status != http.StatusBadRequest && r.status != http.StatusNotFound {
			t.Errorf("%s answered %d", body, r.status)
		}
	}
	createdID(t, s.call("POST", "/v1/responses", background))
	wantOver(t, "the second good one", s.call("POST", "/v1/responses", background), time.Minute, "requests per min")
}

func TestTokensPerMinute(t *testing.T) {
	t.Parallel()
	s := raise(t, tenanted(t, registry.Tenant{Name: auth.DefaultTenant, TokensPerMinute: 60}))
	first := s.call("POST", "/v1/responses", background)
	createdID(t, first)
	want := map[string]string{"limit-tokens": "60", "remaining-tokens": "60", "reset-tokens": "0s"}
	if diff := cmp.Diff(want, quotas(first)); diff != "" {
		t.Errorf("the headers differ (-want +got):\n%s", diff)
	}
	row := s.claim()
	s.commit(row, run.TurnCommit{Outcome: run.Completed, Output: []byte(`[]`), InputTokens: 100, OutputTokens: 50})
	err := s.store.Settle(t.Context(), store.Settlement{
		ID: row.ID, Tenant: auth.DefaultTenant, Epoch: row.Epoch, Status: run.Completed, Answer: []byte(`{}`), AfterWork: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	over := s.call("POST", "/v1/responses", background)
	wantOver(t, "one after 150 tokens of 60", over, 91*time.Second, "tokens per min (TPM): Limit 60.")
	if got := quotas(over); got["remaining-tokens"] != "0" || !strings.HasPrefix(got["reset-tokens"], "2m") {
		t.Errorf("it sees %v, want 0 left and minutes to go", got)
	}
}

func TestRequestsInFlight(t *testing.T) {
	t.Parallel()
	s := raise(t, tenanted(t, registry.Tenant{Name: auth.DefaultTenant, InFlight: 1}))
	createdID(t, s.call("POST", "/v1/responses", background))
	over := s.call("POST", "/v1/responses", background)
	wantOver(t, "a second one", over, time.Second, "queued or in progress: Limit 1.")
	if len(quotas(over)) != 0 {
		t.Errorf("it sees %v, though nothing is limited", quotas(over))
	}
	s.finish(s.claim(), run.Completed, `{}`)
	createdID(t, s.call("POST", "/v1/responses", background))
}

// Two gateways on one database let through what one would.
func TestGatewaysShareLimits(t *testing.T) {
	t.Parallel()
	limited := tenanted(t, registry.Tenant{Name: auth.DefaultTenant, RequestsPerMinute: 20})
	one := raise(t, limited)
	two := raise(t, limited, func(c *Config) { c.Store.URL = one.database })
	var ok, over atomic.Int64
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			switch r := []*stand{one, two}[i%2].call("POST", "/v1/responses", background); r.status {
			case http.StatusOK:
				ok.Add(1)
			case http.StatusTooManyRequests:
				over.Add(1)
			default:
				t.Errorf("answered %d %s", r.status, r.body)
			}
		})
	}
	began := time.Now()
	wg.Wait()
	back := int64(time.Since(began)/(3*time.Second)) + 1 // one comes back every 3 s
	if ok.Load() < 20 || ok.Load() > 20+back || ok.Load()+over.Load() != 60 {
		t.Errorf("%d of 60 accepted and %d refused, want 20", ok.Load(), over.Load())
	}
	if got := int64(one.backlog()); got != ok.Load() {
		t.Errorf("%d queued, want %d", got, ok.Load())
	}
}

func TestRepeatsWithAKeyAreNotCounted(t *testing.T) {
	t.Parallel()
	s := raise(t, tenanted(t, registry.Tenant{Name: auth.DefaultTenant, RequestsPerMinute: 1}))
	ask := func(key string) reply {
		r := s.request(t.Context(), "POST", "/v1/responses", background)
		r.Header.Set("Idempotency-Key", key)
		return s.send(r)
	}
	id := createdID(t, ask("k"))
	for range 2 {
		if again := createdID(t, ask("k")); again != id {
			t.Errorf("repeated, it is %s, want %s", again, id)
		}
	}
	wantOver(t, "another key", ask("other"), time.Minute, "requests per min")
}

// A request over its tenant's limit takes no place in the queue.
func TestRefusedRequestsFillNoBacklog(t *testing.T) {
	t.Parallel()
	s := raise(t, tenanted(t, registry.Tenant{Name: "a", RequestsPerMinute: 1}), func(c *Config) { c.BacklogMax = 5 })
	a, _ := s.mint("a")
	b, _ := s.mint("b")
	createdID(t, s.as(a, "POST", "/v1/responses", background))
	for range 10 {
		wantOver(t, "one over the limit", s.as(a, "POST", "/v1/responses", background), time.Minute, "tenant a")
	}
	createdID(t, s.as(b, "POST", "/v1/responses", background))
}

func TestWeights(t *testing.T) {
	t.Parallel()
	s := raise(t, tenanted(t, registry.Tenant{Name: "heavy", Weight: 3}, registry.Tenant{Name: "light"}))
	for _, tenant := range []string{"light", "heavy"} {
		key, _ := s.mint(tenant)
		for range 12 {
			createdID(t, s.as(key, "POST", "/v1/responses", background))
		}
	}
	got := map[string]int{}
	for range 12 {
		got[s.claim().Tenant]++
	}
	if diff := cmp.Diff(map[string]int{"heavy": 8, "light": 4}, got); diff != "" { // one more for the first to arrive
		t.Errorf("the first 12 claims differ (-want +got):\n%s", diff)
	}
}

func TestModelsOfATenant(t *testing.T) {
	t.Parallel()
	s := raise(t, tenanted(t, registry.Tenant{Name: "*", Models: []string{"b"}}, registry.Tenant{Name: "a", Models: []string{"m", "b"}}))
	a, _ := s.mint("a", func(n *keys.NewKey) { n.Models = []string{"m"} })
	c, _ := s.mint("c", func(n *keys.NewKey) { n.Models = []string{"m", "b"} })
	for name, tt := range map[string]struct{ key, may, not string }{
		"both of its tenant, one of its key": {a, "m", "b"}, "one of its tenant, both of its key": {c, "b", "m"}, "no list of its own": {testKey, "b", "m"},
	} {
		models := s.as(tt.key, "GET", "/v1/models", "").object(t)["data"].([]any)
		if len(models) != 1 || models[0].(map[string]any)["id"] != tt.may {
			t.Errorf("%s: sees %v, want %s", name, models, tt.may)
		}
		createdID(t, s.as(tt.key, "POST", "/v1/responses", strings.Replace(background, `"m"`, `"`+tt.may+`"`, 1)))
		wantRefused(t, name, s.as(tt.key, "POST", "/v1/responses", strings.Replace(background, `"m"`, `"`+tt.not+`"`, 1)), http.StatusNotFound, "model_not_found")
		wantRefused(t, name, s.as(tt.key, "GET", "/v1/models/"+tt.not, ""), http.StatusNotFound, "model_not_found")
	}
}

// Over a WebSocket a refusal has what HTTP has in its head.
func TestRequestsPerMinuteOverAWebSocket(t *testing.T) {
	t.Parallel()
	s := raise(t, tenanted(t, registry.Tenant{Name: "a", RequestsPerMinute: 1}))
	key, _ := s.mint("a")
	conn := s.dial(key)
	say(t, conn, warmUp, `"response.created"`)
	say(t, conn, "", `"response.completed"`)
	ctx, cancel := context.WithTimeout(t.Context(), patienceOfTests)
	defer cancel()
	if err := conn.Write(ctx, websocket.MessageText, []byte(strings.TrimSuffix(turn, "}")+`,"stream_id":"s"}`)); err != nil {
		t.Fatal(err)
	}
	_, message, err := conn.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Type   string
		Status int
		Error  struct {
			Code    string
			Headers map[string]string
		}
		Headers map[string]string
		Stream  string `json:"stream_id"`
	}
	if err := json.Unmarshal(message, &got); err != nil {
		t.Fatal(err)
	}
	ms, err := strconv.Atoi(got.Headers["retry-after-ms"])
	if got.Type != "error" || got.Status != http.StatusTooManyRequests || got.Error.Code != "rate_limit_exceeded" || got.Stream != "s" ||
		got.Headers["x-ratelimit-limit-requests"] != "1" || got.Headers["x-ratelimit-remaining-requests"] != "0" || err != nil || ms < 1 {
		t.Errorf("the message is %s", message)
	}
	if diff := cmp.Diff(got.Headers, got.Error.Headers); diff != "" {
		t.Errorf("the headers in the error differ from those beside it:\n%s", diff)
	}
	if n := s.backlog(); n != 0 {
		t.Errorf("%d requests are queued, want none", n)
	}
}

// A flood that is over its tenant's limit costs the database nothing, and other
// tenants nothing.
func TestFloodsOverALimitDoNotReachTheDatabase(t *testing.T) {
	t.Parallel()
	s, tap := behindTap(t, tenanted(t, registry.Tenant{Name: auth.DefaultTenant, RequestsPerMinute: 1}))
	createdID(t, s.call("POST", "/v1/responses", background))
	wantOver(t, "the first", s.call("POST", "/v1/responses", background), time.Minute, "requests per min")
	tap.close()
	for range 20 {
		began := time.Now()
		wantOver(t, "another", s.call("POST", "/v1/responses", background), time.Minute, "requests per min")
		if took := time.Since(began); took > honest/2 {
			t.Errorf("it was refused after %v", took)
		}
	}
	tap.open()
}
