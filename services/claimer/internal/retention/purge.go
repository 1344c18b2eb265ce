package retention

import (
	"context"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/retry"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/retention"
	"windlass.dev/windlass/services/claimer/internal/periodic"
	"windlass.dev/windlass/services/internal/worker"
)

const (
	purgeInterval = 10 * time.Second
	maxBatch      = 200
	// longBatch is the time after which the next batch is smaller: payloads can
	// be megabytes each.
	longBatch = 250 * time.Millisecond
	// timeShare is the part of the time, one in so many, that purges take while
	// there is something to purge.
	timeShare = 5
	minPause  = 50 * time.Millisecond
)

// Run purges until ctx ends.
func Run(ctx context.Context, w *worker.Worker, p Periods) {
	var jobs errgroup.Group
	for _, purge := range newPurges(w, p) {
		jobs.Go(func() error {
			periodic.Run(ctx, nil, periodic.Every(purgeInterval, purge.run))
			return nil
		})
	}
	jobs.Go(func() error {
		periodic.Run(ctx, nil, periodic.Every(keysInterval, func(ctx context.Context) { purgeKeys(ctx, w, keysBatch) }))
		return nil
	})
	_ = jobs.Wait() // no job fails
}

// purge deletes one kind of what is kept, a batch at a time.
type purge struct {
	*worker.Worker
	kind   string // in metrics and logs: rows or payloads
	period time.Duration
	// deleteBatch deletes up to n, and reports whether there may be more.
	deleteBatch func(ctx context.Context, n int) (deleted []retention.Purged, more bool, err error)
	batch       int
}

func newPurges(w *worker.Worker, p Periods) []*purge {
	var all []*purge
	store := retention.New(w.DB)
	if p.Stored > 0 {
		rows := &walk{store: store, period: p.Stored}
		all = append(all, &purge{
			Worker: w, kind: "rows", period: p.Stored, deleteBatch: rows.deleteBatch, batch: maxBatch,
		})
	}
	if p.Unstored > 0 {
		payloads := func(ctx context.Context, n int) ([]retention.Purged, bool, error) {
			deleted, err := store.Erase(ctx, p.Unstored, n)
			return deleted, len(deleted) == n, err
		}
		all = append(all, &purge{
			Worker: w, kind: "payloads", period: p.Unstored, deleteBatch: payloads, batch: maxBatch,
		})
	}
	return all
}

// run deletes until nothing is left to delete.
func (p *purge) run(ctx context.Context) {
	total, began := 0, time.Now()
	for more := true; more; {
		start := time.Now()
		deleted, rest, err := p.deleteBatch(ctx, p.batch)
		took := time.Since(start)
		if err != nil {
			p.batch = max(p.batch/2, 1)
			if ctx.Err() == nil {
				p.LogFailure("old requests not purged", err, zap.String("kind", p.kind))
			}
			break
		}
		total += len(deleted)
		p.Metrics.Purged(p.kind, len(deleted))
		p.eraseFromBus(ctx, deleted)
		p.batch = nextBatch(p.batch, took)
		more = rest && retry.Sleep(ctx, max((timeShare-1)*took, minPause))
	}
	if total > 0 {
		p.Log.Info("old requests purged",
			zap.String("kind", p.kind), zap.Int("delivery", total), zap.Duration("took", time.Since(began)))
	}
}

func nextBatch(batch int, took time.Duration) int {
	if took > longBatch {
		return max(batch/2, 1)
	}
	return min(2*batch, maxBatch)
}

// eraseFromBus deletes the tool results that the bus still holds. If the bus is
// unavailable, the streams' own limits delete them.
func (p *purge) eraseFromBus(ctx context.Context, deleted []retention.Purged) {
	if p.period > bus.StepMaxAge {
		return
	}
	for _, r := range deleted {
		if !r.Tools {
			continue
		}
		id := run.Hex(r.ID)
		if err := p.Bus.Erase(ctx, id); err != nil && ctx.Err() == nil {
			p.LogFailure("purged requests not erased from the bus", err, zap.String("request_id", id))
			return
		}
	}
}
