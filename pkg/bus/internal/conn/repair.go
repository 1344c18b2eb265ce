package conn

import (
	"context"
	"math/rand/v2"
	"time"

	"windlass.dev/windlass/pkg/retry"
)

const (
	// repairGap bounds the pause before a repair, which takes at least half of
	// it. The pause keeps the repairs of one process apart, and lets the server
	// end the deletion of what is missing; a stream created during that
	// deletion would not survive it (see Remake).
	repairGap = 500 * time.Millisecond
	// repairTimeout bounds one repair: a read, and at worst the creation, of
	// every stream and consumer.
	repairTimeout = 10 * time.Second
)

// Repair ensures the topology again. Callers that arrive while a repair runs
// share its result.
func (c *Conn) Repair(ctx context.Context) error {
	called := time.Now()
	select {
	case c.repairing <- struct{}{}:
		defer func() { <-c.repairing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if c.repairedAt.After(called) {
		return c.repairErr
	}
	if !waitRepairGap(ctx) {
		return context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, repairTimeout)
	defer cancel()
	c.repairErr = c.ensure(ctx)
	c.repairedAt = time.Now()
	if c.repairErr == nil {
		c.Log.Warn("streams were repaired")
	}
	return c.repairErr
}

// Mend runs f. If f finds a stream or consumer missing, Mend repairs the
// topology and runs f once more.
func (c *Conn) Mend(ctx context.Context, f func(context.Context) error) error {
	err := f(ctx)
	if !IsMissing(err) || c.Repair(ctx) != nil {
		return err
	}
	return f(ctx)
}

// waitRepairGap waits between half and all of repairGap and reports whether ctx
// is still alive. It is random, so that services which see the same loss do not
// act at once.
func waitRepairGap(ctx context.Context) bool {
	return retry.Sleep(ctx, repairGap/2+rand.N(repairGap/2))
}
