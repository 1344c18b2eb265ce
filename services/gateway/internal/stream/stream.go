// Package stream sends the events of a request to its client: from the bus
// while the request runs, from its archive afterwards.
//
// The first events of a response follow from the request and no worker writes
// them; the last one comes from the row. All clients of a response get the same
// bytes, apart from padding. A response that was not streamed can be: its
// events come at its end. A client that streams in the foreground and hangs up
// cancels the request; one that is dropped because it reads too slowly, or
// because the server drains, can resume. A stream ends with an error event of
// the code stream_lost, and nothing else, when the bus has lost frames of it
// (TestAStreamThatHasLostFramesEndsWithAnError in package gateway), or when the
// client resumes at a position that belongs to events which were lost
// (TestAPositionOfALostStreamIsRefused in package test/behaviour). All readers
// of an archive share its bytes (TestReadersOfAnArchiveShareIt in package
// gateway), and all readers together hold no more than the budget allows
// (TestF25SlowReaders there).
//
// A stream of chunks, of a request that is one model call, begins with the
// first chunk, or after KeepAlive without one, so that a refusal can be the
// HTTP error that clients expect; later it is a chunk. Chunks of two attempts
// are never mixed, because they cannot be revoked as events can: an attempt
// that finds that another has sent something fails, and a reader that sees a
// second beginning treats the stream as lost. [DONE] follows the commit, so
// that a client that has read it has a request that is completed.
package stream

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/budget"
	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/wait"
)

// Server sends streams. It is safe for concurrent use.
type Server struct {
	archives  *answers.Store
	archived  archives
	memory    *budget.Budget // nil: no limit
	bus       *bus.Bus
	waiters   *wait.Waiters
	canceller *wait.Canceller
	poll      time.Duration
	deadline  time.Duration
	tasks     *sync.WaitGroup
	log       *zap.Logger
}

// Options is what a Server needs.
type Options struct {
	Archives  *answers.Store
	Memory    *budget.Budget
	Bus       *bus.Bus
	Waiters   *wait.Waiters
	Canceller *wait.Canceller
	Poll      time.Duration // between two looks at a row whose stream is not on the bus
	Deadline  time.Duration // of requests
	Tasks     *sync.WaitGroup
	Log       *zap.Logger
}

// New returns a Server.
func New(o Options) *Server {
	return &Server{
		archives:  o.Archives,
		archived:  archives{of: map[archiveOf]*archive{}},
		memory:    o.Memory,
		bus:       o.Bus,
		waiters:   o.Waiters,
		canceller: o.Canceller,
		poll:      o.Poll,
		deadline:  o.Deadline,
		tasks:     o.Tasks,
		log:       o.Log,
	}
}

// abandon cancels the request of a foreground stream that ended before its
// response did, unless its client can go on reading elsewhere. It returns
// httpapi.ErrHungUp.
func (s *Server) abandon(ctx context.Context, n store.NewRequest, err error) error {
	switch {
	case n.Background || n.Once.Key != "": // with the key the client may send it again
	case !n.Unstored && (Drained(ctx) || errors.Is(err, ErrSlow)): // the client can resume
	default:
		s.canceller.HangUp(n.Tenant, n.ID)
	}
	return httpapi.ErrHungUp
}

var errLate = errors.New("the response has not ended long after its deadline")

// Drained reports whether a stream ended because the server drains.
func Drained(ctx context.Context) bool { return errors.Is(context.Cause(ctx), process.ErrDraining) }
