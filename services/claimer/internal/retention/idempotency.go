package retention

import (
	"context"
	"time"

	"windlass.dev/windlass/pkg/store/idempotency"
	"windlass.dev/windlass/services/internal/worker"
)

const (
	keysInterval = time.Minute
	keysBatch    = 1000
)

// purgeKeys deletes expired idempotency keys, a batch at a time.
func purgeKeys(ctx context.Context, w *worker.Worker, batch int) {
	for {
		n, err := idempotency.New(w.DB).Purge(ctx, batch)
		if err != nil && ctx.Err() == nil {
			w.LogFailure("expired idempotency keys not purged", err)
		}
		if err != nil || n < batch {
			return
		}
	}
}
