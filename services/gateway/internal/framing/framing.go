// Package framing refuses requests whose length is stated twice: with both
// Content-Length and Transfer-Encoding. A proxy in front may believe the one
// and this server the other, so that a part of a body becomes a request of its
// own (request smuggling). net/http believes Transfer-Encoding and deletes
// Content-Length before any handler sees it, so the headers are read here, as
// they arrive.
//
// The second of the two headers loses its colon on the way. net/http then
// answers 400 and closes the connection, as for any malformed header
// (TestBothLengthsAreRefused). No other byte changes, and what cannot be
// followed ends the connection (TestWhatCannotBeFollowedEndsTheConnection).
package framing

import (
	"errors"
	"net"
	"net/http"
	"sync/atomic"
)

// Listener returns l with connections that refuse such requests. The server
// has to call ConnState.
func Listener(l net.Listener) net.Listener { return listener{l} }

type listener struct{ net.Listener }

// Accept returns the next connection.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &Conn{Conn: c}, nil
}

// ConnState is for http.Server: it stops reading along when a connection
// becomes a WebSocket.
func ConnState(c net.Conn, state http.ConnState) {
	if conn, ok := c.(*Conn); ok && state == http.StateHijacked {
		conn.hijacked.Store(true)
	}
}

// Conn is a connection of Listener.
type Conn struct {
	net.Conn
	hijacked atomic.Bool
	requests parser // used by Read, which net/http calls one at a time
}

var errLost = errors.New("framing: the request's chunks cannot be followed")

// Read reads from the connection.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.hijacked.Load() && !c.requests.follow(p[:n]) {
		return 0, errLost
	}
	return n, err
}
