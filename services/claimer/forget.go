package claimer

import (
	"context"
	"time"
)

const (
	forgetEvery = time.Minute
	forgetMost  = 1000
)

// forgetLoop purges idempotency keys whose time is over.
func (c *claimer) forgetLoop(ctx context.Context) {
	tick := time.NewTicker(forgetEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.forget(ctx, forgetMost)
		}
	}
}

// forget purges all there are, most at a time.
func (c *claimer) forget(ctx context.Context, most int) {
	for {
		n, err := c.Store.Forget(ctx, most)
		if err != nil && ctx.Err() == nil {
			c.LogFailure("old idempotency keys not forgotten", err)
		}
		if err != nil || n < most {
			return
		}
	}
}
