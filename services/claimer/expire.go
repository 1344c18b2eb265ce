package claimer

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/dispatch"
)

// expire settles a request that is past its deadline and tells whoever works on it or waits for it.
func (c *claimer) expire(ctx context.Context, s store.Settlement) {
	switch err := c.Store.Settle(ctx, s); {
	case errors.Is(err, store.ErrStale):
		return // it ended another way meanwhile
	case err != nil:
		if ctx.Err() == nil {
			c.LogFailure("request not expired", err)
		}
		return
	}
	id := dispatch.BusID(s.ID)
	c.Log.Info("request expired", zap.String("request_id", id))
	c.Bus.CancelHint(id)
	c.Bus.DoneHint(id)
	row, err := c.Store.Look(ctx, s.ID)
	if err == nil {
		_, err = c.Publish.Publish(ctx, false, row)
	}
	if err != nil && ctx.Err() == nil {
		c.Log.Info("final of an expired request not published, the sweep will", zap.Error(err))
	}
}
