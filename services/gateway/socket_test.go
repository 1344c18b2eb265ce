package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/keys"
	"windlass.dev/windlass/services/internal/apikey"
)

// dial opens a WebSocket with a key.
func (s *stand) dial(key string) *websocket.Conn {
	s.tb.Helper()
	transport := &http.Transport{}
	s.tb.Cleanup(transport.CloseIdleConnections)
	ctx, cancel := context.WithTimeout(s.tb.Context(), patienceOfTests)
	defer cancel()
	conn, resp, err := websocket.Dial(ctx, s.url+"/v1/responses", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, HTTPHeader: http.Header{"Authorization": {"Bearer " + key}},
	})
	if resp != nil && resp.Body != nil {
		_ = resp.Body.Close()
	}
	if err != nil {
		s.tb.Fatalf("open a WebSocket: %v", err)
	}
	s.tb.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// say sends a message and, where want is not empty, reads one that has to
// contain it.
func say(tb testing.TB, conn *websocket.Conn, message, want string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patienceOfTests)
	defer cancel()
	if message != "" {
		if err := conn.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
			tb.Fatalf("send a message: %v", err)
		}
	}
	if want == "" {
		return
	}
	if _, got, err := conn.Read(ctx); err != nil || !strings.Contains(string(got), want) {
		tb.Fatalf("read %s, %v, want %s", got, err, want)
	}
}

// closed reads to the connection's end, which must have the code.
func closed(tb testing.TB, conn *websocket.Conn, want websocket.StatusCode) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patienceOfTests)
	defer cancel()
	for {
		if _, _, err := conn.Read(ctx); err != nil {
			if got := websocket.CloseStatus(err); got != want {
				tb.Errorf("the connection ended with %d (%v), want %d", got, err, want)
			}
			return
		}
	}
}

const (
	warmUp = `{"type":"response.create","model":"m","input":"hi","generate":false}`
	turn   = `{"type":"response.create","model":"m","input":"hi"}`
)

func TestUpgradesThatAreRefused(t *testing.T) {
	t.Parallel()
	s := raise(t)
	reader, _ := s.mint("a", func(n *keys.NewKey) { n.Scopes = []string{apikey.ScopeRead} })
	handshake := map[string]string{
		"Connection": "keep-alive, Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Authorization": "Bearer " + testKey,
	}
	for name, tt := range map[string]struct {
		header, value string
		status        int
	}{
		"no key of ours":      {"Authorization", "", 401},
		"a key that is wrong": {"Authorization", "Bearer nope", 401},
		"a key that may read": {"Authorization", "Bearer " + reader, 403},
		"an old version":      {"Sec-WebSocket-Version", "8", 400},
		"no nonce":            {"Sec-WebSocket-Key", "", 400},
		"a hop too many":      {"Connection", "keep-alive", 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := s.request(t.Context(), http.MethodGet, "/v1/responses", "")
			for key, value := range handshake {
				r.Header.Set(key, value)
			}
			r.Header.Set(tt.header, tt.value)
			if got := s.send(r); got.status != tt.status || got.fault(t)["message"] == "" {
				t.Errorf("answered %d %s, want %d", got.status, got.body, tt.status)
			}
		})
	}
}

// A revoke ends what a key may do on a connection that is open.
func TestARevokedKeyOnAWebSocket(t *testing.T) {
	t.Parallel()
	s := raise(t)
	key, id := s.mint("a")
	conn := s.dial(key)
	say(t, conn, warmUp, "response.created")
	say(t, conn, "", "response.completed")
	if _, err := s.apiKeys.Revoke(t.Context(), "", id); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a refusal", func() bool {
		say(t, conn, warmUp, "")
		_, got, err := conn.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(got), `"status":401`) {
			return true
		}
		say(t, conn, "", "response.completed")
		return false
	})
}

func TestALimitOfWebSockets(t *testing.T) {
	t.Parallel()
	s := raise(t, func(c *Config) { c.SocketLife = 200 * time.Millisecond })
	conn := s.dial(testKey)
	say(t, conn, "", "websocket_connection_limit_reached")
	closed(t, conn, websocket.StatusNormalClosure)
}

func TestMessagesThatEndTheConnection(t *testing.T) {
	t.Parallel()
	s := raise(t, func(c *Config) { c.MaxBody = 1 << 10 })
	t.Run("binary", func(t *testing.T) {
		t.Parallel()
		conn := s.dial(testKey)
		if err := conn.Write(t.Context(), websocket.MessageBinary, []byte(warmUp)); err != nil {
			t.Fatal(err)
		}
		closed(t, conn, websocket.StatusUnsupportedData)
	})
	t.Run("too large", func(t *testing.T) {
		t.Parallel()
		conn := s.dial(testKey)
		say(t, conn, `"`+strings.Repeat("x", 2<<10)+`"`, "")
		closed(t, conn, websocket.StatusMessageTooBig)
	})
	t.Run("too much at once", func(t *testing.T) {
		t.Parallel()
		conn := s.dial(testKey)
		say(t, conn, turn, "response.created")
		large := strings.Replace(turn, "hi", strings.Repeat("x", 900), 1)
		for range bodiesOfSocket + 1 {
			say(t, conn, large, "")
		}
		closed(t, conn, websocket.StatusPolicyViolation)
	})
	t.Run("too many at once", func(t *testing.T) {
		t.Parallel()
		conn := s.dial(testKey)
		say(t, conn, turn, "response.created")
		for range waitingOfSocket + 1 {
			say(t, conn, turn, "")
		}
		closed(t, conn, websocket.StatusPolicyViolation)
	})
}

// What a connection remembers is bounded like a body.
func TestAHistoryThatIsTooLong(t *testing.T) {
	t.Parallel()
	s := raise(t, func(c *Config) { c.MaxBody = 1 << 10 })
	conn := s.dial(testKey)
	long := func(more string) string {
		return fmt.Sprintf(`{"type":"response.create","model":"m","generate":false,"input":"%s"%s}`, strings.Repeat("x", 600), more)
	}
	say(t, conn, long(""), "response.created")
	_, completed, err := conn.Read(t.Context())
	var e struct{ Response struct{ ID string } }
	if err = errors.Join(err, json.Unmarshal(completed, &e)); err != nil {
		t.Fatal(err)
	}
	say(t, conn, long(`,"previous_response_id":"`+e.Response.ID+`"`), run.CodePreviousTooLong)
}

// A drain closes WebSockets that are idle at once; one with a response in
// flight when that has ended, or the grace.
func TestADrainOfWebSockets(t *testing.T) {
	t.Parallel()
	s := raise(t, func(c *Config) { c.DrainGrace = time.Second })
	idle, busy := s.dial(testKey), s.dial(testKey)
	say(t, busy, turn, "response.created")
	began := time.Now()
	s.drain(process.ErrDraining)
	closed(t, idle, websocket.StatusGoingAway)
	closed(t, busy, websocket.StatusGoingAway)
	if took := time.Since(began); took < time.Second/2 {
		t.Errorf("the response in flight was given %v, want the grace", took)
	}
	s.waitEnd()
}
