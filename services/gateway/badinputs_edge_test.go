package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/gateway/internal/answer"
	"windlass.dev/windlass/services/gateway/internal/auth"
	"windlass.dev/windlass/services/internal/apikey"
)

// badKeys: I23. Without a key no body is read, and a refusal costs next
// to nothing; BenchmarkRefusedKey has the figure.
func badKeys(t *testing.T, in *inputs) {
	madeUp := apikey.Pepper("another pepper of tests").New().String()
	const none, wrong = "You didn't provide an API key.", "Incorrect API key provided."
	headers := map[string]struct {
		values  []string
		message string
	}{
		"none": {nil, none}, "empty": {[]string{""}, none}, "no scheme": {[]string{testKey}, none}, "another scheme": {[]string{"Basic " + testKey}, none},
		"blanks": {[]string{"Bearer   "}, none}, "wrong": {[]string{"Bearer nope"}, wrong}, "OpenAI's": {[]string{"Bearer sk-proj-0123456789"}, wrong},
		"cut short": {[]string{"Bearer " + testKey[:len(testKey)-1]}, wrong}, "one letter more": {[]string{"Bearer " + testKey + "x"}, wrong},
		"in capitals": {[]string{"Bearer " + strings.ToUpper(testKey)}, wrong}, "made up": {[]string{"Bearer " + madeUp}, wrong},
		"not ASCII": {[]string{"Bearer schlüssel"}, wrong}, "8 kB": {[]string{"Bearer " + strings.Repeat("k", 8<<10)}, wrong},
	}
	for name, h := range headers {
		b := bad{
			name: name, body: `{"model":"m","input":"x"}`, header: http.Header{"Authorization": h.values}, status: http.StatusUnauthorized,
			code: "invalid_api_key", message: h.message, headers: []string{"Www-Authenticate: Bearer"},
		}
		in.all(t, b)
		b.name, b.method, b.path, b.body = name+", unknown id", "GET", create+"/{unknown}", ""
		in.all(t, b)
		if len(h.values) > 0 {
			t.Run(name+", before the body", func(t *testing.T) { unread(t, in.url, h.values[0]) })
		}
	}
	h := served(t)
	least := costOf(t, h, testKey, "GET", "/v1/models", "", http.StatusOK)
	for name, key := range map[string]string{"made up": madeUp, "of another form": "sk-123", "endless": strings.Repeat("k", 8<<10)} {
		if got := costOf(t, h, key, "POST", create, `{"model":"m","input":"x"}`, http.StatusUnauthorized); got > 5*least {
			t.Errorf("%s: a refusal takes %v, an answer %v", name, got, least)
		}
	}
}

// unread wants a 401 for a body that is announced and never sent.
func unread(t *testing.T, url, authorization string) {
	t.Helper()
	conn := dial(t, url, patienceOfTests)
	const head = "POST /v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: 1000\r\n\r\n"
	if _, err := fmt.Fprintf(conn, head, authorization); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusUnauthorized || !resp.Close {
		t.Errorf("answered %d, closing %v; want 401 and the end of the connection", resp.StatusCode, resp.Close)
	}
}

func dial(t *testing.T, url string, limit time.Duration) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// served is a gateway's handler without a connection before it.
func served(tb testing.TB) http.Handler {
	tb.Helper()
	s := raise(tb)
	cfg := s.config(nil)
	tb.Cleanup(func() { _ = cfg.Listener.Close() })
	cfg.Runtime = process.NewRuntime("gateway", process.Config{}, zap.NewNop())
	gateway, err := newServer(cfg, s.db, s.bus)
	if err != nil {
		tb.Fatal(err)
	}
	return gateway.handler()
}

// cost is the best time of a few, for other tests run beside it, that a request
// takes.
func costOf(tb testing.TB, h http.Handler, key, method, path, body string, want int) time.Duration {
	tb.Helper()
	best := time.Hour
	for range 30 {
		r := httptest.NewRequestWithContext(tb.Context(), method, path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+key)
		w := httptest.NewRecorder()
		began := time.Now()
		h.ServeHTTP(w, r)
		best = min(best, time.Since(began))
		if w.Code != want {
			tb.Fatalf("%s %s answered %d %s, want %d", method, path, w.Code, w.Body, want)
		}
	}
	return best
}

// BenchmarkRefusedKey is I23's figure.
func BenchmarkRefusedKey(b *testing.B) {
	h := served(b)
	madeUp := apikey.Pepper("another pepper of tests").New().String()
	for b.Loop() {
		r := httptest.NewRequestWithContext(b.Context(), "POST", create, http.NoBody)
		r.Header.Set("Authorization", "Bearer "+madeUp)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}

// overTheLimit: I24. A full queue, and a tenant at its limit, refuse every
// request that accepts one, and say when to send it again.
func overTheLimit(t *testing.T, in *inputs) {
	aTenantsLimit(t, in)
	s := raise(t, func(c *Config) { c.BacklogMax = 2 })
	s.background()
	s.background()
	for _, b := range in.bodies() {
		if !acceptsRequests(b.name) {
			continue
		}
		in.judge(t, bad{
			status: http.StatusTooManyRequests, kind: "too_many_requests", code: "rate_limit_exceeded", message: "Too many requests are waiting: 2.",
			headers: []string{"Retry-After: 1", "Retry-After-Ms: 1000", answer.RequestHeader + ": "},
		}, s.call("POST", b.path, b.body))
	}
	if got := s.call("POST", create, `{"model":"m","input":"x","stream":true}`); got.status != http.StatusTooManyRequests {
		t.Errorf("a stream was answered %d %s, want 429 before it begins", got.status, got.body)
	}
	if got := s.call("POST", create, `{"model":"gpt-x","input":"x"}`); got.status != http.StatusNotFound {
		t.Errorf("a bad request was answered %d %s, want what is wrong with it", got.status, got.body)
	}
	if n := s.backlog(); n != 2 {
		t.Errorf("%d queued, want 2", n)
	}
	s.claim()
	eventually(t, "room in the queue", func() bool { return s.call("POST", create, backgroundBody).status == http.StatusOK })
}

// aTenantsLimit is in OpenAI's headers of every answer. The tests of
// limits have the rest.
func aTenantsLimit(t *testing.T, in *inputs) {
	t.Helper()
	s := raise(t, tenanted(t, registry.Tenant{Name: auth.DefaultTenant, RequestsPerMinute: 1}))
	in.judge(t, bad{message: hint}, s.call("POST", create, `{`)) // takes nothing of the limit
	if first := s.call("POST", create, backgroundBody); first.status != http.StatusOK || first.header.Get("X-Ratelimit-Remaining-Requests") != "0" {
		t.Fatalf("the first was answered %d %v", first.status, first.header)
	}
	for _, b := range in.bodies() {
		if acceptsRequests(b.name) {
			got := s.call("POST", b.path, b.body)
			in.judge(t, bad{
				status: http.StatusTooManyRequests, kind: "too_many_requests", code: "rate_limit_exceeded",
				message: "Rate limit reached for tenant default on requests per min (RPM): Limit 1. Please try again in ",
				headers: []string{"X-Ratelimit-Limit-Requests: 1", "X-Ratelimit-Remaining-Requests: 0"},
			}, got)
			if got.header.Get("Retry-After") == "" || got.header.Get("Retry-After-Ms") == "" {
				t.Errorf("%s: the headers are %v, want a time to retry", b.name, got.header)
			}
		}
	}
	if n := s.backlog(); n != 1 {
		t.Errorf("%d queued, want 1", n)
	}
}

// onceKeys: I25. OpenAI ignores the header; here it is a promise, which its own
// tests hold to. A key for another request is a 422: SDKs send a 409 again.
func onceKeys(t *testing.T, in *inputs) {
	keyed := func(name, key, body string, b bad) bad {
		b.name, b.body, b.header = name, body, http.Header{"Idempotency-Key": {key}}
		return b
	}
	first := bad{status: http.StatusOK, echo: `"status":"queued"`, headers: []string{"Idempotent-Replayed: "}}
	again := bad{status: http.StatusOK, echo: `"status":"queued"`, headers: []string{"Idempotent-Replayed: true"}}
	reused := bad{
		status: http.StatusUnprocessableEntity, code: "idempotency_key_reused", message: "This Idempotency-Key was used before for another request.",
		headers: []string{"X-Should-Retry: false"},
	}
	none := bad{code: "invalid_idempotency_key", message: "The Idempotency-Key must be one header of 1 to 255 printable ASCII characters."}
	queued := in.backlog()
	in.all(
		t,
		keyed("the first", "k", backgroundBody, first),
		keyed("the same again", "k", backgroundBody, again),
		keyed("another body", "k", `{"model":"m","input":"ho","background":true}`, reused),
		keyed("a bad body", "k", `{"model":`, reused),
		keyed("a bad body and a new key", "l", `{"model":`, bad{message: hint}),
		keyed("which is not used up by it", "l", backgroundBody, first),
		keyed("an empty key", "", backgroundBody, none),
		keyed("a long key", strings.Repeat("k", 256), backgroundBody, none),
		keyed("a key that is not ASCII", "schlüssel", backgroundBody, none),
		keyed("a key with a tab", "a\tb", backgroundBody, none),
	)
	two := keyed("two keys", "", backgroundBody, none)
	two.header["Idempotency-Key"] = []string{"a", "b"}
	in.all(t, two)
	var answers []<-chan reply
	for range 8 {
		answers = append(answers, in.laterSend(in.keyed("m", "POST", create, backgroundBody)))
	}
	ids := map[string]bool{}
	for _, one := range answers {
		ids[createdID(t, receive(t, one))] = true
	}
	if n := in.backlog() - queued; len(ids) != 1 || n != 3 {
		t.Errorf("8 uses of a key at once made %d responses, and %d are queued in all; want 1 and 3", len(ids), n)
	}
	in.before = in.everything()
}

// slowClients: I26. Clients that send their headers or bodies by drops are cut
// off, and harm no other client meanwhile.
func slowClients(t *testing.T, _ *inputs) {
	t.Parallel()
	s := raise(t)
	const many = 400
	open := func(text string) net.Conn {
		t.Helper()
		conn := dial(t, s.url, headerTimeout+15*time.Second+patienceOfTests)
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	const line = "POST /v1/responses HTTP/1.1\r\nHost: x\r\n"
	var heads, bodies []net.Conn
	for range many {
		heads = append(heads, open(line+"X-Slow: "))
		bodies = append(bodies, open(fmt.Sprintf(line+"Authorization: Bearer %s\r\nContent-Length: 1000\r\n\r\n{", testKey)))
	}
	for range 20 {
		if got := s.call("POST", create, backgroundBody); got.status != http.StatusOK {
			t.Fatalf("beside %d slow clients a request was answered %d", 2*many, got.status)
		}
	}
	for _, conn := range heads {
		if text, err := io.ReadAll(conn); err != nil || strings.Contains(string(text), "200 OK") {
			t.Fatalf("half a header was answered %q, %v", text, err)
		}
	}
	for _, conn := range bodies {
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("a body that stopped: %v", err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusRequestTimeout || !strings.Contains(string(text), `"code":"request_timeout"`) || err != nil {
			t.Fatalf("a body that stopped was answered %d %s, %v", resp.StatusCode, text, err)
		}
	}
}
