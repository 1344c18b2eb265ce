package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/storetest"
	"windlass.dev/windlass/services/gateway/internal/auth"
)

// streamEvent is what tests look at in a message.
type streamEvent struct {
	Type     string
	StreamID string `json:"stream_id"`
	Response struct{ ID string }
	Error    struct{ Code, Param string }
}

// readEvent reads a message.
func readEvent(tb testing.TB, conn *websocket.Conn) (e streamEvent) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patienceOfTests)
	defer cancel()
	_, text, err := conn.Read(ctx)
	if err != nil {
		tb.Fatalf("read a message: %v", err)
	}
	if err := json.Unmarshal(text, &e); err != nil {
		tb.Fatalf("%v: %s", err, text)
	}
	return e
}

// onStream is a message with a stream_id.
func onStream(message, stream string) string {
	return fmt.Sprintf(`%s,"stream_id":%q}`, strings.TrimSuffix(message, "}"), stream)
}

// cancelled ends a response that no worker runs.
func (s *stand) cancelled(public string) {
	s.tb.Helper()
	id := s.lookPublic(public).ID
	err := s.store.Settle(s.tb.Context(), store.Settlement{ID: id, Tenant: auth.DefaultTenant, Status: run.Cancelled})
	if err == nil {
		err = s.store.Finish(s.tb.Context(), id)
	}
	if err != nil {
		s.tb.Fatal(err)
	}
}

// created reads on until a response is created.
func created(tb testing.TB, conn *websocket.Conn) streamEvent {
	tb.Helper()
	for {
		if e := readEvent(tb, conn); e.Type == "response.created" {
			return e
		}
	}
}

// As many responses as may be are in flight; the others begin, in their order,
// when one ends.
func TestResponsesInFlightOnAWebSocket(t *testing.T) {
	t.Parallel()
	s := raise(t)
	conn := s.dial(testKey)
	stream := func(n int) string { return fmt.Sprint("stream", n) }
	say(t, conn, turn, "")
	for n := range activeOfSocket + 2 {
		say(t, conn, onStream(turn, stream(n)), "")
	}
	say(t, conn, onStream(turn, stream(0)), "")
	begun := make(map[string]string)
	for range activeOfSocket {
		e := created(t, conn)
		begun[e.StreamID] = e.Response.ID
	}
	for n, want := range []string{stream(activeOfSocket - 1), stream(activeOfSocket), stream(activeOfSocket + 1), stream(0)} {
		var rows int
		storetest.Query(t, s.database, `SELECT count(*) FROM requests`, nil, &rows)
		if rows != activeOfSocket+n || begun[stream(n)] == "" {
			t.Errorf("%d requests were made after %d ends, want %d, and one of them on %s: %v", rows, n, activeOfSocket+n, stream(n), begun)
		}
		s.cancelled(begun[stream(n)])
		if e := created(t, conn); e.StreamID != want {
			t.Errorf("after %d ends %q began, want %q", n+1, e.StreamID, want)
		}
	}
}

// A name too many is refused by its name, and the other streams go on; a name
// that is malformed is refused without one.
func TestNamesOfStreams(t *testing.T) {
	t.Parallel()
	s := raise(t)
	conn := s.dial(testKey)
	warm := func(stream string) {
		t.Helper()
		message := warmUp
		if stream != "" {
			message = onStream(warmUp, stream)
		}
		say(t, conn, message, "")
		for _, want := range []string{"response.created", "response.completed"} {
			if e := readEvent(t, conn); e.Type != want || e.StreamID != stream {
				t.Fatalf("read %+v, want %s on %q", e, want, stream)
			}
		}
	}
	refused := func(stream, told, code string) {
		t.Helper()
		say(t, conn, onStream(warmUp, stream), "")
		if e := readEvent(t, conn); e.Type != "error" || e.Error.Code != code || e.Error.Param != "stream_id" || e.StreamID != told {
			t.Errorf("read %+v, want %s on %q", e, code, told)
		}
	}
	for n := range streamsOfSocket {
		warm(fmt.Sprint("stream-", n))
	}
	for range 2 {
		refused("another", "another", "websocket_stream_limit_reached")
		refused("", "", "invalid_stream_id")
		refused("a b", "", "invalid_stream_id")
		warm("")
		warm("stream-31")
	}
}

// After the lifetime of a WebSocket no response begins on it. Those in flight
// are sent to their end before the connection is closed.
func TestTheTimeOfABusyWebSocket(t *testing.T) {
	t.Parallel()
	s := raise(t, func(c *Config) { c.SocketLife = time.Second })
	conn := s.dial(testKey)
	say(t, conn, onStream(turn, "a"), "")
	say(t, conn, turn, "")
	first, second := created(t, conn), created(t, conn)
	say(t, conn, turn, "")
	time.Sleep(1200 * time.Millisecond) //nolint:forbidigo // the time that is up
	say(t, conn, onStream(turn, "b"), "")
	s.cancelled(first.Response.ID)
	s.cancelled(second.Response.ID)
	ends := 0
	for {
		e := readEvent(t, conn)
		if e.Type == "response.created" {
			t.Errorf("%+v began after the time was up", e)
		}
		if e.Type == "response.failed" {
			ends++
		}
		if e.Type == "error" {
			if e.Error.Code != "websocket_connection_limit_reached" || e.StreamID != "" || ends != 2 {
				t.Errorf("read %+v after %d ends, want the limit, without a stream, after 2", e, ends)
			}
			break
		}
	}
	closed(t, conn, websocket.StatusNormalClosure)
}

// A drain begins nothing that waits, and leaves what is in flight the grace, on
// every stream.
func TestADrainOfStreams(t *testing.T) {
	t.Parallel()
	s := raise(t, func(c *Config) { c.DrainGrace = 5 * time.Second })
	conn := s.dial(testKey)
	for _, stream := range []string{"a", "b", "a"} {
		say(t, conn, onStream(turn, stream), "")
	}
	ids := []string{created(t, conn).Response.ID, created(t, conn).Response.ID}
	s.drain(process.ErrDraining)
	for _, id := range ids {
		s.cancelled(id)
	}
	for ends := 0; ends < len(ids); {
		switch e := readEvent(t, conn); e.Type {
		case "response.created":
			t.Errorf("%+v began in the drain", e)
		case "response.failed":
			ends++
		}
	}
	closed(t, conn, websocket.StatusGoingAway)
	s.waitEnd()
}

// A client that hangs up cancels what runs for it, on every stream.
func TestAHangUpOfStreams(t *testing.T) {
	t.Parallel()
	s := raise(t)
	conn := s.dial(testKey)
	var ids []string
	for _, stream := range []string{"a", "b", "c"} {
		say(t, conn, onStream(turn, stream), "")
		ids = append(ids, created(t, conn).Response.ID)
	}
	_ = conn.CloseNow()
	for _, id := range ids {
		eventually(t, "the cancel of "+id, func() bool { return s.lookPublic(id).Status == run.Cancelled })
	}
}
