package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/run"
)

// smallMemory gives a gateway a budget of 32 MiB and bodies of 1 MiB: a key may
// hold 10.6 MiB, a tenant 16.
func smallMemory(rt **process.Runtime) func(*Config) {
	return func(c *Config) {
		*rt = process.NewRuntime("gateway", process.Config{MemoryMax: 64 << 20}, zap.NewNop())
		c.MaxBody, c.Runtime = 1<<20, *rt
	}
}

// sendHalf sends the head of a request with a body of most bytes, and size of
// them, and returns the answer, which is nil while the gateway waits for more.
func (s *stand) sendHalf(key string, size, most int) (answer <-chan *http.Response) {
	s.tb.Helper()
	var d net.Dialer
	conn, err := d.DialContext(s.tb.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(func() { _ = conn.Close() })
	answers := make(chan *http.Response, 1)
	var sending sync.WaitGroup
	s.tb.Cleanup(sending.Wait)
	s.tb.Cleanup(func() { _ = conn.Close() })
	sending.Go(func() {
		_, _ = fmt.Fprintf(conn, "POST /v1/responses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"+
			"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n", key, most)
		_, _ = io.WriteString(conn, `{"model":"m","input":"`+strings.Repeat("x", size)) // the gateway may have refused
	})
	sending.Go(func() {
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
			_ = resp.Body.Close()
			answers <- resp
		}
	})
	return answers
}

// Bodies that are sent by half hold no more than the share of their key; the
// others are refused with 429, and another tenant is served.
func TestHalfSentBodiesHoldAShare(t *testing.T) {
	t.Parallel()
	var rt *process.Runtime
	s := raise(t, smallMemory(&rt))
	memory := rt.Memory
	hostile, _ := s.mint("hostile")
	other, _ := s.mint("other")
	refused := make(chan string, 60)
	for range 60 {
		answer := s.sendHalf(hostile, 900<<10, 1<<20) //nolint:bodyclose // sendHalf closes it
		go func() {
			select {
			case resp := <-answer:
				refused <- fmt.Sprint(resp.StatusCode, " ", resp.Header.Get("Retry-After"))
			case <-t.Context().Done():
			}
		}()
	}
	for range 45 { // 10 of them fit in the share
		select {
		case got := <-refused:
			if got != "429 1" {
				t.Fatalf("a body beyond the share was answered with %q, want 429 and Retry-After: 1", got)
			}
		case <-time.After(patienceOfTests):
			t.Fatal("bodies beyond the share are not refused")
		}
	}
	if held := memory.Size(); held < 5<<20 || held > memory.KeyShare() {
		t.Errorf("the bodies of one key hold %d bytes, want up to %d", held, memory.KeyShare())
	}
	createdID(t, s.as(other, "POST", "/v1/responses", background))
	large := `{"model":"m","background":true,"input":"` + strings.Repeat("x", 900<<10) + `"}`
	createdID(t, s.as(other, "POST", "/v1/responses", large))
}

// A request that waits for its model holds nothing of its body.
func TestAWaitingRequestHoldsNoBody(t *testing.T) {
	t.Parallel()
	var rt *process.Runtime
	s := raise(t, smallMemory(&rt))
	memory := rt.Memory
	large := strings.Repeat("x", 900<<10)
	for path, body := range map[string]string{
		"/v1/responses":        `{"model":"m","input":"` + large + `"}`,
		"/v1/chat/completions": `{"model":"m","messages":[{"role":"user","content":"` + large + `"}]}`,
	} {
		for range 8 { // each costs 2.7 MiB while it is read
			before := s.backlog()
			ctx, hangUp := context.WithCancel(t.Context())
			defer hangUp()
			go func() {
				if resp, err := s.http.Do(s.request(ctx, "POST", path, body)); err == nil {
					_ = resp.Body.Close()
				}
			}()
			eventually(t, "an accept", func() bool { return s.backlog() > before })
		}
	}
	eventually(t, "the release of all bodies", func() bool { return memory.Size() < 100<<10 })
}

// A warm-up keeps a request in memory, so it counts against the limits of its
// tenant, and what all of a key's WebSockets keep is bounded by its share.
func TestWarmUpsHoldAShare(t *testing.T) {
	t.Parallel()
	var rt *process.Runtime
	s := raise(t, smallMemory(&rt))
	memory := rt.Memory
	key, _ := s.mint("hostile")
	large := strings.Replace(warmUp, "hi", strings.Repeat("x", 900<<10), 1)
	var refused atomic.Int64
	var all sync.WaitGroup
	var conns []*websocket.Conn
	for range 12 {
		conns = append(conns, s.dial(key))
	}
	for _, conn := range conns { // what three of them send fits
		all.Go(func() {
			for range 2 {
				if conn.Write(t.Context(), websocket.MessageText, []byte(large)) != nil {
					return
				}
				_, first, err := conn.Read(t.Context())
				if strings.Contains(string(first), `"memory_share_exceeded"`) {
					refused.Add(1)
					_ = conn.CloseNow()
					return
				}
				if err == nil {
					_, _, err = conn.Read(t.Context())
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if held := memory.Size(); held > memory.KeyShare() || held < 2<<20 {
		t.Errorf("the WebSockets of one key hold %d bytes, want up to %d", held, memory.KeyShare())
	}
	if refused.Load() == 0 {
		t.Error("no warm-up was refused")
	}
}

func TestWarmUpsCountAsRequests(t *testing.T) {
	t.Parallel()
	s := raise(t, tenanted(t, registry.Tenant{Name: "a", RequestsPerMinute: 3}))
	key, _ := s.mint("a")
	for range 3 {
		conn := s.dial(key)
		say(t, conn, warmUp, `"response.created"`)
		say(t, conn, "", `"response.completed"`)
	}
	say(t, s.dial(key), warmUp, `"rate_limit_exceeded"`)
	if got := s.as(key, "POST", "/v1/responses", background); got.status != http.StatusTooManyRequests {
		t.Errorf("a request after three warm-ups of three requests a minute was answered with %d", got.status)
	}
}

// The WebSockets of a key are bounded, also without a message.
func TestIdleWebSocketsHoldAShare(t *testing.T) {
	t.Parallel()
	var rt *process.Runtime
	s := raise(t, smallMemory(&rt))
	most := int(rt.Memory.KeyShare() / (64 << 10))
	for range most {
		_ = s.dial(testKey)
	}
	r := s.request(t.Context(), http.MethodGet, "/v1/responses", "")
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		r.Header.Set(name, value)
	}
	got := s.send(r)
	if got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") == "" {
		t.Errorf("WebSocket %d was answered with %d %s, want 429", most+1, got.status, got.body)
	}
	other, _ := s.mint("other")
	say(t, s.dial(other), warmUp, "response.created")
}

// Large answers that clients do not read hold a share, on every route that has
// them; then reads are refused, and a response that was read is released.
func TestUnreadAnswersHoldAShare(t *testing.T) {
	t.Parallel()
	var rt *process.Runtime
	s := raise(t, smallMemory(&rt))
	memory := rt.Memory
	input := strings.Repeat(`{"role":"user","content":"`+strings.Repeat("x", 90<<10)+`"},`, 10)
	created := s.call("POST", "/v1/responses", `{"model":"m","background":true,"input":[`+strings.TrimSuffix(input, ",")+`]}`)
	id := createdID(t, created)
	s.finish(s.claim(), run.Completed, `{"id":"`+id+`","object":"response","output":[],"status":"completed","x":"`+
		strings.Repeat("x", 900<<10)+`"}`)
	eventually(t, "the release of the body", func() bool { return memory.Size() == 0 })
	for _, path := range []string{"/" + id, "/" + id + "/input_items?limit=100", "?limit=100"} {
		var conns []net.Conn
		refused := make(chan struct{}, 100)
		for range 20 {
			var d net.Dialer
			conn, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
				t.Fatal(err)
			}
			conns = append(conns, conn)
			_, _ = fmt.Fprintf(conn, "GET /v1/responses%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", path, testKey)
			go func() {
				head := make([]byte, len("HTTP/1.1 429"))
				if _, err := io.ReadFull(conn, head); err == nil && string(head) == "HTTP/1.1 429" {
					refused <- struct{}{}
				}
			}()
		}
		select {
		case <-refused:
		case <-time.After(patienceOfTests):
			t.Errorf("%s: no read was refused", path)
		}
		if held := memory.Size(); held > memory.KeyShare() {
			t.Errorf("%s: unread answers hold %d bytes", path, held)
		}
		for _, conn := range conns {
			_ = conn.Close()
		}
		eventually(t, "the release of the answers", func() bool { return memory.Size() == 0 })
		if got := s.call("GET", "/v1/responses"+path, ""); got.status != http.StatusOK {
			t.Errorf("%s after that: %d %s", path, got.status, got.body)
		}
	}
}

// The end of a WebSocket releases all that it held.
func TestAWebSocketReleasesItsMemory(t *testing.T) {
	t.Parallel()
	s := raise(t)
	memory := s.rt.Memory
	conn := s.dial(testKey)
	say(t, conn, warmUp, "response.created")
	say(t, conn, "", "response.completed")
	say(t, conn, strings.Replace(warmUp, `"hi"`, `"hi","stream_id":"x"`, 1), "response.created")
	if memory.Size() < 64<<10 {
		t.Errorf("an open WebSocket holds %d bytes", memory.Size())
	}
	_ = conn.CloseNow()
	eventually(t, "the release", func() bool { return memory.Size() == 0 })
}
