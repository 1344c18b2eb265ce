package retention

import (
	"context"
	"time"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/store/retention"
)

// walk deletes the rows of old requests, oldest first. The next walk begins at
// the first request that this one could not delete.
type walk struct {
	store  *retention.Store
	period time.Duration
	at     uuid.UUID // position of this walk
	clear  uuid.UUID // nothing is left up to here: where the next walk begins
	whole  bool      // this walk has left nothing up to at
}

// deleteBatch looks at up to n requests. It reports whether there may be more.
func (w *walk) deleteBatch(ctx context.Context, n int) ([]retention.Purged, bool, error) {
	if w.at == w.clear {
		w.whole = true
	}
	s, err := w.store.Purge(ctx, w.period, w.at, n)
	if err != nil {
		return nil, false, err
	}
	if w.whole {
		w.clear, w.whole = s.Clear, s.Clear == s.Last
	}
	w.at = s.Last
	if s.Looked < n {
		w.at = w.clear
		return s.Gone, false, nil
	}
	return s.Gone, true, nil
}
