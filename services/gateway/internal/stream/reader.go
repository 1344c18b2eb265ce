package stream

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/budget"
	"windlass.dev/windlass/pkg/bus/live"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
)

const (
	// liveBytes is what a reader of a live stream may hold that does not read:
	// what it has read of the stream, and buffers.
	liveBytes = 128 << 10
	// archiveBytes is the same of an archive: its decoder.
	archiveBytes = 704 << 10
	// lastCopies is how often the answer is in memory while the last event is
	// sent: as it is stored, as an object, and as a frame.
	lastCopies = 3
	// roomLimit is how long a stream waits for memory before it is cut.
	roomLimit = 2 * time.Second
)

// Reader is a client's share of a live stream, and of the memory for streams.
// It is not safe for concurrent use.
type Reader struct {
	live  *live.Reader
	lease *budget.Lease
}

// Read opens the live stream of a request. Call it before the row is written,
// so that no frame is missed. The caller closes the reader. It returns
// budget.ErrShare or budget.ErrFull if there is no memory for another reader.
func (s *Server) Read(who httpapi.Principal, id uuid.UUID) (*Reader, error) {
	r, err := s.lend(who, liveBytes)
	if err != nil {
		return nil, err
	}
	if r.live, err = s.bus.ReadLive(run.Hex(id)); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// lend returns a reader without a live stream.
func (s *Server) lend(who httpapi.Principal, n int64) (*Reader, error) {
	r := &Reader{lease: s.memory.Open(budget.Reader, who.Tenant, who.KeyID)}
	if err := r.lease.Grow(n); err != nil {
		r.Close()
		return nil, fmt.Errorf("read a stream: %w", err)
	}
	return r, nil
}

// Close ends the reading.
func (r *Reader) Close() {
	if r == nil {
		return
	}
	if r.live != nil {
		r.live.Close()
	}
	r.lease.Close()
}

// grow takes more memory for the stream. A client that cannot have it is cut
// off, and can resume.
func (f *follower) grow(ctx context.Context, n int64) error {
	if err := f.lease.Await(ctx, n, roomLimit); err != nil {
		return fmt.Errorf("%w: %w: %w", httpapi.ErrHungUp, ErrSlow, err)
	}
	return nil
}

// lastBytes is what the last event of a stream needs.
func lastBytes(a *answers.Answer) int64 { return lastCopies * int64(len(a.Final)) }
