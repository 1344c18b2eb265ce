package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
)

const (
	// streamWrite is how long a client may take to read what fills its
	// connection before it is dropped; it can resume.
	streamWrite = 30 * time.Second
	// keepAlive is the longest silence of a stream.
	keepAlive = 15 * time.Second
)

// sse writes server-sent events, each frame in one write: there are clients
// that drop a frame which arrives in pieces.
type sse struct {
	x     *httpapi.Exchange
	conn  *http.ResponseController
	buf   []byte
	wrote time.Time
}

// openSSE sends the head of a stream.
func openSSE(x *httpapi.Exchange) (*sse, error) {
	h := x.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no")
	x.WriteHeader(http.StatusOK)
	out := &sse{x: x, conn: http.NewResponseController(x), wrote: time.Now()}
	return out, out.flush()
}

// event sends an event with its place in the stream.
func (s *sse) event(e event.Event, place int) error {
	s.buf = e.AppendFrame(s.buf[:0], place)
	return s.write(s.buf)
}

// fail sends an error event.
func (s *sse) fail(why *fault.Error, place int) error { return s.event(event.Error(why), place) }

// done sends the end of the stream.
func (s *sse) done() error { return s.write([]byte(event.Done)) }

// keep sends a comment if the silence would be too long by the time that it is
// called again: whoever follows calls it once a silence.
func (s *sse) keep() error {
	if time.Since(s.wrote) < keepAlive-silence {
		return nil
	}
	return s.write([]byte(": keep-alive\n\n"))
}

// write sends one frame. errHungUp: nobody reads it.
func (s *sse) write(frame []byte) error {
	s.wrote = time.Now()
	if err := s.conn.SetWriteDeadline(s.wrote.Add(streamWrite)); err != nil {
		return httpapi.ErrHungUp
	}
	if _, err := s.x.Write(frame); err != nil {
		return gone(err)
	}
	return s.flush()
}

func (s *sse) flush() error { return gone(s.conn.Flush()) }

// gone says why nobody reads any more.
func gone(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: %w", httpapi.ErrHungUp, errSlow)
	}
	return httpapi.ErrHungUp
}

// errSlow is of a client that did not read in time.
var errSlow = errors.New("the client reads too slowly")

// cut ends the connection so that the client sees that the stream is not at its
// end.
func (s *sse) cut() {
	_ = s.conn.SetWriteDeadline(time.Unix(1, 0)) // what is left, the end of the body too, cannot be sent any more
}
