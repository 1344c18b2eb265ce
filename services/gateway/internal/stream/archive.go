package stream

import (
	"context"
	"errors"
	"sync"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/budget"
	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/services/gateway/internal/query"
	"windlass.dev/windlass/services/internal/livestream"
)

// archives are the archives that are read now. All readers of one share its
// bytes, which are compressed; each decodes them event by event, as fast as its
// client reads.
type archives struct {
	mu sync.Mutex
	of map[archiveOf]*archive
}

type archiveOf struct {
	tenant string
	id     uuid.UUID
}

// archive is one that is being loaded or was.
type archive struct {
	loaded  chan struct{} // closed when the two below are set
	data    []byte        // nil if the request has no archive
	err     error
	lease   *budget.Lease // for data
	readers int           // guarded by archives.mu
}

// openArchive returns the archive of a request and a function that ends its
// use. It reads the database once for all that use it at a time.
func (s *Server) openArchive(ctx context.Context, a *answers.Answer) (*archive, func(), error) {
	if !a.Streamed {
		return &archive{}, func() {}, nil
	}
	of := archiveOf{a.Tenant, a.ID}
	s.archived.mu.Lock()
	shared := s.archived.of[of]
	first := shared == nil
	if first {
		shared = &archive{loaded: make(chan struct{})}
		s.archived.of[of] = shared
	}
	shared.readers++
	s.archived.mu.Unlock()
	closeIt := func() { s.closeArchive(of, shared) }
	if first {
		shared.data, shared.err = s.loadArchive(context.WithoutCancel(ctx), of) // others wait for it, too
		if shared.err == nil {
			shared.lease = s.memory.Open(budget.Reader, of.tenant, "")
			shared.err = shared.lease.Grow(int64(len(shared.data)))
		}
		if shared.err != nil {
			s.forgetArchive(of, shared)
		}
		close(shared.loaded)
	}
	select {
	case <-shared.loaded:
	case <-ctx.Done():
		closeIt()
		return nil, nil, context.Cause(ctx)
	}
	if shared.err != nil {
		closeIt()
		return nil, nil, shared.err
	}
	return shared, closeIt, nil
}

func (s *Server) loadArchive(ctx context.Context, of archiveOf) ([]byte, error) {
	ctx, cancel := query.WithTimeout(ctx)
	defer cancel()
	data, err := query.Retry(ctx, s.tasks, func(ctx context.Context) ([]byte, error) {
		return s.archives.Events(ctx, of.tenant, of.id)
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return data, err
}

// closeArchive drops the bytes with their last reader.
func (s *Server) closeArchive(of archiveOf, shared *archive) {
	s.archived.mu.Lock()
	defer s.archived.mu.Unlock()
	if shared.readers--; shared.readers > 0 {
		return
	}
	shared.lease.Close()
	if s.archived.of[of] == shared {
		delete(s.archived.of, of)
	}
}

// forgetArchive lets the next reader load it again.
func (s *Server) forgetArchive(of archiveOf, shared *archive) {
	s.archived.mu.Lock()
	defer s.archived.mu.Unlock()
	if s.archived.of[of] == shared {
		delete(s.archived.of, of)
	}
}

func (a *archive) exists() bool { return a.data != nil }

func (a *archive) restarted() bool { return livestream.IsRestarted(a.data) }

// sendFrom sends the events of an archive from the next one on.
func (f *follower) sendFrom(ctx context.Context, a *archive) error {
	if missing := archiveBytes - f.lease.Size(); missing > 0 && f.lease != nil {
		if err := f.grow(ctx, missing); err != nil {
			return err
		}
	}
	place := 0
	return livestream.Read(a.data, func(e event.Event) error {
		if place++; place <= f.next {
			return nil
		}
		return f.send([]event.Event{e})
	})
}
