package claimer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/worker"
)

// Keep is how long what has ended is kept. Of zero it is kept for ever.
type Keep struct {
	// Retention is from a request's end to that of its rows: response, steps, payloads, events.
	Retention time.Duration `env:"WINDLASS_RETENTION, default=720h"`
	// Unstored is from the end of a request that is not stored to that of its payloads. Until then its client has to have the answer.
	Unstored time.Duration `env:"WINDLASS_RETENTION_UNSTORED, default=10m"`
}

// leastKept is time enough for a client that waits to be given its answer.
const leastKept = 10 * time.Second

func (k Keep) validate() error {
	var errs []error
	for name, kept := range map[string]time.Duration{"WINDLASS_RETENTION": k.Retention, "WINDLASS_RETENTION_UNSTORED": k.Unstored} {
		if kept != 0 && kept < leastKept {
			errs = append(errs, fmt.Errorf("%s is %s, want %s at least, or 0 to keep for ever", name, kept, leastKept))
		}
	}
	return errors.Join(errs...)
}

const (
	purgeEvery = 10 * time.Second
	purgeMost  = 200
	// purgeLong is how long one batch may take before the next one is smaller: payloads may be megabytes each.
	purgeLong = 250 * time.Millisecond
	// purgeShare is the part of the time, one in so many, that is spent with purging while there is something to purge.
	purgeShare = 5
	purgePause = 50 * time.Millisecond
)

// purger takes one kind of what is kept no longer away, a batch at a time. A batch is one statement: a purger that is killed has done
// whole batches, and the next one goes on.
type purger struct {
	*worker.Worker
	kind string // as metrics and logs have it
	kept time.Duration
	// step purges up to that many, and says whether there may be more.
	step  func(ctx context.Context, most int) (gone []store.Purged, more bool, err error)
	batch int
}

func (c *claimer) purgers(k Keep) []*purger {
	var all []*purger
	if k.Retention > 0 {
		w := &walk{store: c.Store, kept: k.Retention}
		all = append(all, &purger{Worker: c.Worker, kind: "rows", kept: k.Retention, step: w.step, batch: purgeMost})
	}
	if k.Unstored > 0 {
		step := func(ctx context.Context, most int) ([]store.Purged, bool, error) {
			gone, err := c.Store.Erase(ctx, k.Unstored, most)
			return gone, len(gone) == most, err
		}
		all = append(all, &purger{Worker: c.Worker, kind: "payloads", kept: k.Unstored, step: step, batch: purgeMost})
	}
	return all
}

// walk goes over all requests that are old, oldest first, and over those it has left again from the next one on.
type walk struct {
	store *store.Store
	kept  time.Duration
	at    uuid.UUID // of this walk
	clear uuid.UUID // where the next one begins
	whole bool      // nothing was left behind at
}

func (w *walk) step(ctx context.Context, most int) ([]store.Purged, bool, error) {
	if w.at == w.clear {
		w.whole = true
	}
	s, err := w.store.Purge(ctx, w.kept, w.at, most)
	if err != nil {
		return nil, false, err
	}
	if w.whole {
		w.clear, w.whole = s.Clear, s.Clear == s.Last
	}
	w.at = s.Last
	if s.Looked < most {
		w.at = w.clear
		return s.Gone, false, nil
	}
	return s.Gone, true, nil
}

func (p *purger) loop(ctx context.Context) {
	tick := time.NewTicker(purgeEvery)
	defer tick.Stop()
	for {
		p.round(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// round purges all there is.
func (p *purger) round(ctx context.Context) {
	total, began := 0, time.Now()
	for more := true; more; {
		start := time.Now()
		gone, goesOn, err := p.step(ctx, p.batch)
		took := time.Since(start)
		if err != nil {
			p.batch = max(p.batch/2, 1)
			if ctx.Err() == nil {
				p.LogFailure("old requests not purged", err, zap.String("kind", p.kind))
			}
			break
		}
		total += len(gone)
		p.Metrics.Purged(p.kind, len(gone))
		p.erase(ctx, gone)
		p.batch = nextBatch(p.batch, took)
		more = goesOn && process.Sleep(ctx, max((purgeShare-1)*took, purgePause))
	}
	if total > 0 {
		p.Log.Info("old requests purged", zap.String("kind", p.kind), zap.Int("delivery", total), zap.Duration("took", time.Since(began)))
	}
}

func nextBatch(batch int, took time.Duration) int {
	if took > purgeLong {
		return max(batch/2, 1)
	}
	return min(2*batch, purgeMost)
}

// erase takes away what the bus may still hold: what tools gave. What is not taken away now, because the bus is away, goes with the streams'
// own limits.
func (p *purger) erase(ctx context.Context, gone []store.Purged) {
	if p.kept > bus.StepMaxAge {
		return
	}
	for _, r := range gone {
		if !r.Tools {
			continue
		}
		id := dispatch.BusID(r.ID)
		if err := p.Bus.Erase(ctx, id); err != nil && ctx.Err() == nil {
			p.LogFailure("purged requests not erased from the bus", err, zap.String("request_id", id))
			return
		}
	}
}
