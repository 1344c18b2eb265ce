package stream

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
	// WriteLimit is how long a client may take to read what fills its
	// connection before it is dropped. It can resume.
	WriteLimit = 30 * time.Second
	// KeepAlive is the longest silence of a stream.
	KeepAlive = 15 * time.Second
)

// ErrSlow reports a client that did not read in time.
var ErrSlow = errors.New("the client reads too slowly")

// sse writes server-sent events, each frame in one write, because some clients
// drop a frame that arrives in pieces.
type sse struct {
	x     *httpapi.Exchange
	conn  *http.ResponseController
	buf   []byte
	wrote time.Time
}

// OpenSSE sends the head of a stream and returns the sink for its events.
func OpenSSE(x *httpapi.Exchange) (Sink, error) { return openSSE(x) }

func openSSE(x *httpapi.Exchange) (*sse, error) {
	h := x.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no")
	x.WriteHeader(http.StatusOK)
	out := &sse{x: x, conn: http.NewResponseController(x), wrote: time.Now()}
	return out, out.flush()
}

// Event implements Sink.
func (s *sse) Event(e event.Event, place int) error {
	s.buf = e.AppendFrame(s.buf[:0], place)
	return s.write(s.buf)
}

// Fail implements Sink.
func (s *sse) Fail(why *fault.Error, place int) error { return s.Event(event.Error(why), place) }

// Done implements Sink.
func (s *sse) Done() error { return s.write([]byte(event.Done)) }

// KeepAlive sends a comment if the silence would be too long at the next call,
// which is at most pollRow away.
func (s *sse) KeepAlive() error {
	if time.Since(s.wrote) < KeepAlive-pollRow {
		return nil
	}
	return s.write([]byte(": keep-alive\n\n"))
}

// write sends one frame. It returns httpapi.ErrHungUp if the client has gone.
func (s *sse) write(frame []byte) error {
	s.wrote = time.Now()
	if err := s.conn.SetWriteDeadline(s.wrote.Add(WriteLimit)); err != nil {
		return httpapi.ErrHungUp
	}
	if _, err := s.x.Write(frame); err != nil {
		return writeError(err)
	}
	return s.flush()
}

func (s *sse) flush() error { return writeError(s.conn.Flush()) }

// writeError maps a failed write to why the client does not read.
func writeError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: %w", httpapi.ErrHungUp, ErrSlow)
	}
	return httpapi.ErrHungUp
}

// Cut ends the connection in a way that shows the client that the stream is not
// complete.
func (s *sse) Cut() {
	_ = s.conn.SetWriteDeadline(time.Unix(1, 0)) // so that the end of the body cannot be sent either
}

// lateSSE is a stream whose head is sent with its first chunk: until then an
// error can be an HTTP error, as clients expect. After KeepAlive without a
// chunk the head is sent alone, so that no proxy drops the connection.
type lateSSE struct {
	*sse // nil until then

	x     *httpapi.Exchange
	since time.Time
}

func (l *lateSSE) open() (err error) {
	if l.sse == nil {
		l.sse, err = openSSE(l.x)
	}
	return err
}

// Event implements Sink.
func (l *lateSSE) Event(e event.Event, place int) error {
	if err := l.open(); err != nil {
		return err
	}
	return l.sse.Event(e, place)
}

// KeepAlive implements Sink.
func (l *lateSSE) KeepAlive() error {
	switch {
	case l.sse != nil:
		return l.sse.KeepAlive()
	case time.Since(l.since) < KeepAlive:
		return nil
	}
	return l.open()
}

// Done implements Sink.
func (l *lateSSE) Done() error {
	if err := l.open(); err != nil {
		return err
	}
	return l.sse.Done()
}

// Cut implements Sink.
func (l *lateSSE) Cut() {
	if l.sse != nil {
		l.sse.Cut()
	}
}
