package wait

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/process/failpoint"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
	"windlass.dev/windlass/services/internal/dispatch"
)

// noticeLimit bounds the work after a cancel. The sweep does what is left.
const noticeLimit = 5 * time.Second

// Canceller cancels requests of clients that ask for it or have gone. It is
// safe for concurrent use.
type Canceller struct {
	store   *store.Store
	bus     *bus.Bus
	publish dispatch.Publisher
	tasks   *sync.WaitGroup
	log     *zap.Logger
	later   *uncancelled
}

// NewCanceller returns a Canceller. tasks counts what it does in the
// background.
func NewCanceller(st *store.Store, b *bus.Bus, tasks *sync.WaitGroup, log *zap.Logger) *Canceller {
	return &Canceller{
		store: st, bus: b, publish: dispatch.Publisher{Bus: b}, tasks: tasks, log: log, later: newUncancelled(),
	}
}

// Cancel commits a cancel and then publishes it. It returns store.ErrStale if
// the request does not exist or has ended. If the answer to the commit is lost,
// the repeated commit is stale too; the sweep then publishes the cancel.
func (c *Canceller) Cancel(ctx context.Context, tenant string, id uuid.UUID) error {
	_, err := query.Retry(ctx, c.tasks, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, c.store.Settle(ctx, store.Settlement{
			ID: id, Tenant: tenant, Status: run.Cancelled, AfterWork: true,
		})
	})
	if err != nil {
		return err
	}
	failpoint.Hit(failpoint.CancelAfterCommit)
	c.bus.CancelHint(run.Hex(id))
	c.bus.DoneHint(run.Hex(id))
	c.tasks.Go(func() { c.publishCancel(id) })
	return nil
}

// publishCancel publishes what is due for a cancelled row and removes its
// queued commands. The client has its answer already.
func (c *Canceller) publishCancel(id uuid.UUID) {
	ctx, stop := context.WithTimeout(context.Background(), noticeLimit) // outlives the request on purpose
	defer stop()
	row, err := c.store.Look(ctx, id)
	if err == nil {
		_, err = c.publish.Publish(ctx, false, row)
	}
	if row.Epoch > 0 || err != nil { // a request that was never claimed has no commands
		err = errors.Join(err, c.bus.Purge(ctx, run.Hex(id)))
	}
	if err != nil {
		c.log.Warn("notice of a cancel left to the sweep", zap.String("request_id", run.Hex(id)), zap.Error(err))
	}
}

// HangUp cancels the request of a client that has gone.
func (c *Canceller) HangUp(tenant string, id uuid.UUID) {
	ctx, stop := query.WithTimeout(context.Background()) // the client's context has ended
	defer stop()
	err := c.Cancel(ctx, tenant, id)
	switch {
	case err == nil || errors.Is(err, store.ErrStale):
	case httpapi.Unavailable(err):
		c.later.add(tenant, id)
	default:
		c.log.Error("request of a client that hung up not cancelled",
			zap.String("request_id", run.Hex(id)), zap.Error(err))
	}
}

// CancelLater cancels a request of which is not known whether it was accepted,
// as soon as its accept can no longer be on its way.
func (c *Canceller) CancelLater(tenant string, id uuid.UUID) { c.later.add(tenant, id) }

// cancelDue cancels what is due, all at once, because the store joins cancels
// into few statements. What fails stays due.
func (c *Canceller) cancelDue(ctx context.Context) {
	ctx, stop := query.WithTimeout(ctx)
	defer stop()
	var all sync.WaitGroup
	defer all.Wait()
	for _, one := range c.later.due() {
		all.Go(func() {
			err := c.Cancel(ctx, one.tenant, one.id)
			switch {
			case errors.Is(err, store.ErrStale): // never accepted, or ended
			case err != nil:
				return
			default:
				c.log.Info("orphan cancelled", zap.String("request_id", run.Hex(one.id)))
			}
			c.later.drop(one.id)
		})
	}
}
