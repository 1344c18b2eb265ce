package socket

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"

	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/stream"
)

// A client that does not read has not hung up: it can resume what was sent to
// it, on every stream of the WebSocket.
func TestAClientOfAWebSocketThatDoesNotRead(t *testing.T) {
	t.Parallel()
	type result struct{ wrote, read, cause error }
	results := make(chan result, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		defer func() { _ = conn.CloseNow() }()
		k := &connection{conn: conn, limit: 300 * time.Millisecond, arrivals: make(chan arrival)}
		ctx, end := context.WithCancelCause(r.Context())
		k.end = end
		gone := make(chan error, 1)
		go func() { gone <- k.read(ctx); k.end(httpapi.ErrHungUp) }()
		var got result
		for got.wrote == nil {
			got.wrote = k.write(make([]byte, 1<<20))
		}
		got.read = <-gone
		got.cause = context.Cause(ctx)
		results <- got
	}))
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	conn, resp, err := websocket.Dial(ctx, server.URL, nil)
	if resp != nil && resp.Body != nil {
		_ = resp.Body.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	select {
	case got := <-results:
		for what, err := range map[string]error{"the write": got.wrote, "the cause of the end of all streams": got.cause} {
			if !errors.Is(err, stream.ErrSlow) || !errors.Is(err, httpapi.ErrHungUp) {
				t.Errorf("%s is %v, want one of a client that reads too slowly", what, err)
			}
		}
		if got.read == nil {
			t.Error("read = nil after the end")
		}
	case <-ctx.Done():
		t.Fatal("the write did not end in time")
	}
}
