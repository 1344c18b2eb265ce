package sdk

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// wire is the connection of a WebSocket. It keeps all bytes.
type wire struct {
	io.ReadWriteCloser
	closed chan struct{}
	once   sync.Once

	cut int // the client's message, from 1, at which the connection breaks; 0: no break

	mu       sync.Mutex // one goroutine copies each way
	up, down bytes.Buffer
}

// Read implements io.Reader for what the server sends.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.ReadWriteCloser.Read(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down.Write(p[:n])
	return n, err
}

// Write implements io.Writer for what the client sends.
func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	w.up.Write(p)
	cut := false
	if w.cut > 0 {
		up, err := messages(w.up.Bytes())
		cut = err != nil || len(up) >= w.cut
	}
	w.mu.Unlock()
	if cut {
		return 0, io.ErrClosedPipe
	}
	return w.ReadWriteCloser.Write(p)
}

// Close implements io.Closer.
func (w *wire) Close() error {
	defer w.once.Do(func() { close(w.closed) })
	return w.ReadWriteCloser.Close()
}

// messages returns the messages of both sides.
func (w *wire) messages() (up, down [][]byte, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	up, fromClient := messages(w.up.Bytes())
	down, fromServer := messages(w.down.Bytes())
	return up, down, errors.Join(fromClient, fromServer)
}

// The bits and opcodes of RFC 6455, and the bit of permessage-deflate, RFC
// 7692.
const (
	finBit, deflatedBit, maskBit = 0x80, 0x40, 0x80
	opContinuation, opControl    = 0, 8
)

// messages reads the messages that one side of a WebSocket has sent. It ignores
// a frame that is cut off at the end.
func messages(raw []byte) (all [][]byte, err error) {
	var message, window []byte
	deflated := false
	for {
		head, payload, rest, ok := cutFrame(raw)
		if !ok {
			return all, nil
		}
		raw = rest
		op := head & 0x0f
		switch {
		case op >= opControl:
			continue
		case op != opContinuation:
			deflated = head&deflatedBit != 0
		}
		if message = append(message, payload...); head&finBit == 0 {
			continue
		}
		if deflated {
			if message, err = inflate(message, window); err != nil {
				return all, fmt.Errorf("inflate message %d: %w", len(all), err)
			}
			window = append(window, message...)
			window = window[max(0, len(window)-32<<10):]
		}
		all = append(all, message)
		message = nil
	}
}

// cutFrame cuts off the first frame; ok reports whether it is complete.
func cutFrame(raw []byte) (head byte, payload, rest []byte, ok bool) {
	if len(raw) < 2 {
		return 0, nil, nil, false
	}
	size, at := uint64(raw[1]&^maskBit), 2
	for code, width := range map[uint64]int{126: 2, 127: 8} {
		if size == code && len(raw) >= 2+width {
			var wide [8]byte
			copy(wide[8-width:], raw[2:2+width])
			size, at = binary.BigEndian.Uint64(wide[:]), 2+width
			break
		}
	}
	var mask [4]byte
	if raw[1]&maskBit != 0 {
		at += copy(mask[:], raw[min(at, len(raw)):])
	}
	if uint64(len(raw)) < uint64(at)+size {
		return 0, nil, nil, false
	}
	payload = bytes.Clone(raw[at : at+int(size)])
	for i := range payload {
		payload[i] ^= mask[i%len(mask)]
	}
	return raw[0], payload, raw[at+int(size):], true
}

// inflate undoes permessage-deflate. The window is the earlier text, which
// senders that keep their context refer to.
func inflate(message, window []byte) ([]byte, error) {
	const tail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff" // the bytes that the sender leaves out, and an end
	r := flate.NewReaderDict(io.MultiReader(bytes.NewReader(message), bytes.NewReader([]byte(tail))), window)
	return io.ReadAll(r)
}
