package bustest

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"windlass.dev/windlass/pkg/bus"
)

// Shim stands between a server and its clients, holds messages back and loses
// acknowledgements. It understands as much of the protocol as it needs. Set its
// fields before the first connection; it is safe for concurrent use.
type Shim struct {
	Server bus.InProcess
	// HoldBack, if set, says how long a message is held back before the client
	// gets it; those that follow overtake it. stored tells a message of a
	// stream, which is acknowledged, from hints, questions and live frames.
	// Answers to a client's own requests always pass at once.
	HoldBack func(subject string, stored bool) time.Duration
	// LoseAck, if set, says whether the acknowledgement of a message is lost,
	// so that the server delivers the message again. The message is named by
	// its stream, consumer and sequence.
	LoseAck func(message string) bool
}

// InProcessConn connects to the server through the shim.
func (s *Shim) InProcessConn() (net.Conn, error) {
	server, err := s.Server.InProcessConn()
	if err != nil {
		return nil, err
	}
	client, own := net.Pipe()
	down := &feeder{to: own, ended: make(chan struct{})}
	up := &feeder{to: server, ended: make(chan struct{})}
	go func() {
		down.run(server, s.deliver)
		_ = own.Close() // never fails
	}()
	go func() {
		up.run(own, s.publish)
		_ = server.Close() // the client has gone
	}()
	return client, nil
}

// deliver passes on an operation of the server.
func (s *Shim) deliver(f *feeder, o operation) {
	stored := strings.HasPrefix(o.reply, "$JS.ACK.")
	if s.HoldBack == nil || o.subject == "" || strings.HasPrefix(o.subject, "_INBOX") && !stored {
		f.write(o.frame)
		return
	}
	if wait := s.HoldBack(o.subject, stored); wait > 0 {
		f.held.Go(func() { f.writeLater(o.frame, wait) })
		return
	}
	f.write(o.frame)
}

// publish passes on an operation of a client.
func (s *Shim) publish(f *feeder, o operation) {
	if message, ok := acknowledged(o); ok && s.LoseAck != nil && s.LoseAck(message) {
		return
	}
	f.write(o.frame)
}

// acknowledged names the message that an operation acknowledges. A NAK or the
// renewal of a lease is no acknowledgement.
func acknowledged(o operation) (message string, ok bool) {
	rest, ok := strings.CutPrefix(o.subject, "$JS.ACK.")
	payload := string(bytes.TrimSpace(o.payload))
	if !ok || payload != "" && payload != "+ACK" {
		return "", false
	}
	// <stream>.<consumer>.<delivered>.<sequence>.…, or with a domain and an
	// account before.
	words := strings.Split(rest, ".")
	if len(words) > 7 {
		words = words[2:]
	}
	if len(words) < 4 {
		return "", false
	}
	return words[0] + "." + words[1] + "." + words[3], true
}

// feeder writes operations to one side.
type feeder struct {
	to    net.Conn
	ended chan struct{}
	held  sync.WaitGroup
	mu    sync.Mutex // one operation at a time is written
}

// run hands each operation of a connection to pass, until it ends.
func (f *feeder) run(from net.Conn, pass func(*feeder, operation)) {
	defer f.held.Wait()
	defer close(f.ended)
	in := bufio.NewReader(from)
	for {
		o, err := readOperation(in)
		if err != nil {
			return
		}
		pass(f, o)
	}
}

func (f *feeder) write(frame []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, _ = f.to.Write(frame) // fails when that side has closed; then reading from it fails, too
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

// operation is one operation of the protocol. The subject is empty for all but
// messages.
type operation struct {
	frame, payload []byte
	subject, reply string
}

// readOperation reads one operation: a line and, of a message, its payload.
//
//	MSG <subject> <sid> [reply] <size>    HMSG … <header size> <size>
//	PUB <subject> [reply] <size>          HPUB … <header size> <size>
func readOperation(from *bufio.Reader) (o operation, err error) {
	if o.frame, err = from.ReadBytes('\n'); err != nil {
		return o, err
	}
	words := strings.Fields(string(o.frame))
	if len(words) == 0 {
		return o, nil
	}
	least, ok := map[string]int{"PUB": 3, "HPUB": 4, "MSG": 4, "HMSG": 5}[strings.ToUpper(words[0])]
	if !ok {
		return o, nil
	}
	size, err := strconv.Atoi(words[len(words)-1])
	if err != nil {
		return o, err
	}
	o.subject = words[1]
	if len(words) > least {
		o.reply = words[least-1-strings.Count(strings.ToUpper(words[0]), "H")]
	}
	o.payload = make([]byte, size+len("\r\n"))
	if _, err := io.ReadFull(from, o.payload); err != nil {
		return o, err
	}
	o.frame = append(o.frame, o.payload...)
	return o, nil
}
