package bustest

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"windlass.dev/windlass/pkg/bus"
)

// Shim stands between a server and its clients and repeats or delays what the
// server delivers. It understands as much of the protocol as it needs; what
// clients send passes unchanged. It is safe for concurrent use.
type Shim struct {
	Server bus.InProcess
	// Deliver decides how a message is delivered: an element for each copy, how
	// long it is held back. {0} is the normal delivery. A copy that is held
	// back is overtaken by those after it. Stored tells a message of a stream,
	// which is acknowledged, from hints, questions and live frames. Answers to
	// a client's own requests always pass unchanged.
	Deliver func(subject string, stored bool) []time.Duration
}

// InProcessConn connects to the server through the shim.
func (s *Shim) InProcessConn() (net.Conn, error) {
	conn, err := s.Server.InProcessConn()
	if err != nil {
		return nil, err
	}
	return s.Wrap(conn), nil
}

// Wrap returns a client's connection to a server, changed by the shim.
func (s *Shim) Wrap(server net.Conn) net.Conn {
	client, feed := net.Pipe()
	c := &shimConn{Conn: server, client: client}
	go func() {
		f := &feeder{shim: s, to: feed, ended: make(chan struct{})}
		f.run(bufio.NewReader(server))
		_ = feed.Close() // never fails
	}()
	return c
}

// shimConn writes to the server and reads what the shim lets through.
type shimConn struct {
	net.Conn
	client net.Conn
}

func (c *shimConn) Read(p []byte) (int, error) { return c.client.Read(p) }

func (c *shimConn) SetReadDeadline(t time.Time) error { return c.client.SetReadDeadline(t) }

func (c *shimConn) SetDeadline(t time.Time) error {
	_ = c.client.SetDeadline(t) // fails only after Close, as the next one does
	return c.Conn.SetDeadline(t)
}

func (c *shimConn) Close() error {
	_ = c.client.Close() // never fails
	return c.Conn.Close()
}

// feeder passes on what one server connection sends.
type feeder struct {
	shim  *Shim
	to    net.Conn
	ended chan struct{}
	held  sync.WaitGroup
	mu    sync.Mutex // one frame at a time is written
}

func (f *feeder) run(from *bufio.Reader) {
	defer f.held.Wait()
	defer close(f.ended)
	for {
		frame, subject, reply, err := readFrame(from)
		if err != nil {
			return
		}
		stored := bytes.HasPrefix(reply, []byte("$JS.ACK."))
		if len(subject) == 0 || bytes.HasPrefix(subject, []byte("_INBOX")) && !stored {
			f.write(frame)
			continue
		}
		for _, wait := range f.shim.Deliver(string(subject), stored) {
			if wait <= 0 {
				f.write(frame)
				continue
			}
			f.held.Go(func() { f.writeLater(frame, wait) })
		}
	}
}

func (f *feeder) write(frame []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, _ = f.to.Write(frame) // fails when the client has closed; then the server's connection ends, too
}

func (f *feeder) writeLater(frame []byte, wait time.Duration) {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		f.write(frame)
	case <-f.ended:
	}
}

// readFrame reads one operation of the protocol with its payload. The subject
// is empty for all but messages.
func readFrame(from *bufio.Reader) (frame, subject, reply []byte, err error) {
	line, err := from.ReadBytes('\n')
	if err != nil {
		return nil, nil, nil, err
	}
	words := bytes.Fields(line)
	if len(words) == 0 {
		return line, nil, nil, nil
	}
	// MSG <subject> <sid> [reply] <size>, HMSG <subject> <sid> [reply] <header
	// size> <size>
	short := 4
	switch op := string(bytes.ToUpper(words[0])); op {
	case "HMSG":
		short = 5
	case "MSG":
	default:
		return line, nil, nil, nil
	}
	size, err := strconv.Atoi(string(words[len(words)-1]))
	if err != nil {
		return nil, nil, nil, err
	}
	if len(words) > short {
		reply = words[3]
	}
	frame = append(frame, line...)
	payload := make([]byte, size+len("\r\n"))
	if _, err := io.ReadFull(from, payload); err != nil {
		return nil, nil, nil, err
	}
	return append(frame, payload...), words[1], reply, nil
}
