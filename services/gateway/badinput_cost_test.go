package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/services/internal/apikey"
)

// served is a gateway's handler without a connection before it.
func served(tb testing.TB) http.Handler {
	tb.Helper()
	s := raise(tb)
	cfg := s.config(nil)
	tb.Cleanup(func() { _ = cfg.Listener.Close() })
	cfg.Runtime = process.NewRuntime("gateway", process.Config{}, zap.NewNop())
	return newServer(cfg, s.store, s.bus).handler()
}

// cost is the best time of a few, for other tests run beside it, that a request takes.
func cost(tb testing.TB, h http.Handler, key, method, path, body string, want int) time.Duration {
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

// TestBadInputIsCheap: I2 and I23. A refusal costs no more than a small multiple of the least that any answer costs.
func TestBadInputIsCheap(t *testing.T) {
	t.Parallel()
	h := served(t)
	least := cost(t, h, testKey, "GET", "/v1/models", "", http.StatusOK)
	madeUp := apikey.Pepper("another pepper of tests").New().String()
	for name, key := range map[string]string{"I23 made up": madeUp, "I23 of another form": "sk-123", "I23 endless": strings.Repeat("k", 8<<10)} {
		if got := cost(t, h, key, "POST", create, `{"model":"m","input":"x"}`, http.StatusUnauthorized); got > 5*least {
			t.Errorf("%s: a refusal takes %v, an answer %v", name, got, least)
		}
	}
	const size = 100_000
	flat := cost(t, h, testKey, "POST", create, `{"x":"`+strings.Repeat("x", size)+`"}`, http.StatusBadRequest)
	for name, body := range map[string]string{
		"arrays":  `{"model":"m","input":` + strings.Repeat("[", size),
		"objects": strings.Repeat(`{"a":`, size/5),
		"items":   `{"model":"m","input":[` + strings.Repeat("{},", size/3) + `{}]}`,
		"tools":   `{"model":"m","input":"x","tools":[{"type":"function","name":"f","parameters":{"type":"object","x":` + strings.Repeat("[", size) + `}}]}`,
	} {
		if got := cost(t, h, testKey, "POST", create, body, http.StatusBadRequest); got > 10*flat+time.Millisecond {
			t.Errorf("I02 %s: a refusal takes %v, that of a flat body of that size %v", name, got, flat)
		}
	}
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

// endless is a body without end, which counts what is taken of it.
type endless struct{ taken atomic.Int64 }

func (e *endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	e.taken.Add(int64(len(b)))
	return len(b), nil
}

// TestBodyOverTheLimitIsNotRead: I3. What was taken is the limit, and what the connection's buffers hold.
func TestBodyOverTheLimitIsNotRead(t *testing.T) {
	t.Parallel()
	const limit, buffers = 1 << 20, 16 << 20
	s := raise(t, func(c *Config) { c.MaxBody = limit })
	for name, length := range map[string]int64{"announced": 1 << 40, "chunked": -1} {
		body := &endless{}
		r := s.request(t.Context(), "POST", create, "x")
		r.Body, r.ContentLength = io.NopCloser(body), length
		got := s.send(r)
		if f := got.fault(t); got.status != http.StatusRequestEntityTooLarge || f["code"] != "request_too_large" || f["param"] != nil ||
			f["type"] != "invalid_request_error" || f["message"] != "The body of your request is too large: at most 1048576 bytes are allowed." {
			t.Errorf("I03 %s: answered %d %s, want 413", name, got.status, got.body)
		}
		if n := body.taken.Load(); n > limit+buffers {
			t.Errorf("I03 %s: %d bytes were taken of a body without end", name, n)
		}
	}
	whole := `{"model":"m","input":"` + strings.Repeat("x", limit-200) + `","background":true}`
	if got := s.call("POST", create, whole); got.status != http.StatusOK {
		t.Errorf("I03: a body of %d bytes was answered %d", len(whole), got.status)
	}
}

func TestTextOverOpenAIsLimit(t *testing.T) {
	t.Parallel()
	s := raise(t)
	got := s.call("POST", create, `{"model":"m","input":"`+strings.Repeat("x", 10_485_761)+`"}`)
	if f := got.fault(t); got.status != http.StatusBadRequest || f["param"] != "input" || f["code"] != "string_above_max_length" ||
		f["message"] != "Invalid 'input': string too long. Expected a string with maximum length 10485760, but got a string with length 10485761 instead." {
		t.Errorf("I03: answered %d %s", got.status, got.body)
	}
}

// TestSlowClients: I26. Clients that send their headers or bodies by drops are cut off, and harm nobody meanwhile.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	s := raise(t)
	const many = 400
	open := func(text string) net.Conn {
		t.Helper()
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if err := conn.SetDeadline(time.Now().Add(headerTimeout + bodyGrace + patienceOfTests)); err != nil {
			t.Fatal(err)
		}
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
		if got := s.call("POST", create, `{"model":"m","input":"x","background":true}`); got.status != http.StatusOK {
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
