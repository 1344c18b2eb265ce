package live

import (
	"sync"

	"windlass.dev/windlass/pkg/bus/internal/conn"
)

// Streams are the live streams of one connection. It is safe for concurrent
// use.
type Streams struct {
	conn *conn.Conn

	tails struct {
		sync.Mutex
		of map[string]*tail // by subject: those that have readers
	}

	reads chan struct{} // holds one token for each read of a live stream
}

// New returns the live streams of a connection.
func New(c *conn.Conn) *Streams {
	s := &Streams{conn: c, reads: make(chan struct{}, liveReads)}
	s.tails.of = map[string]*tail{}
	return s
}
