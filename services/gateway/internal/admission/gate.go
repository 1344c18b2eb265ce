// Package admission decides which requests are accepted, and commits them.
//
// A request over a limit of its tenant, or over the limit of the queue, is
// refused with 429 and a time to send it again, before anything is written.
// Limits hold over all gateways. Repeats with an Idempotency-Key do not count.
//
// Rules refuse what a request asks for and cannot have: what this server does
// not do (responses.Create.Refusal), what the model's upstream cannot be given
// (package capability), tools that cannot be called as demanded (package
// toolset). Hints are accepted, and so are unknown fields and types of tools,
// because agents send what is newer than this server. A tool that no runner has
// is echoed and not offered to the model. Rules may be added here, not to
// responses.Decode, which also reads requests that were accepted before.
//
// A key that may use some registered tools has them written into its requests:
// the worker that runs a request does not know the key.
package admission

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/metric"
	"windlass.dev/windlass/pkg/process/failpoint"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/idempotency"
	"windlass.dev/windlass/pkg/store/limits"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
	"windlass.dev/windlass/services/gateway/internal/tenants"
	"windlass.dev/windlass/services/gateway/internal/wait"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/lanes"
)

// Gate accepts requests, as far as the limits of their tenants and the queue
// allow. It is safe for concurrent use.
type Gate struct {
	store      *store.Store
	bus        *bus.Bus
	publish    dispatch.Publisher
	lanes      *lanes.Lanes
	tenants    *tenants.Live
	refusals   *RefusalCache
	budgets    *limits.Budgets
	backlog    *backlog
	canceller  *wait.Canceller
	overLimits *prometheus.CounterVec
	tasks      *sync.WaitGroup
	log        *zap.Logger
}

// GateOptions is what a Gate needs.
type GateOptions struct {
	Store      *store.Store
	Bus        *bus.Bus
	Lanes      *lanes.Lanes
	Tenants    *tenants.Live
	Refusals   *RefusalCache
	Budgets    *limits.Budgets
	BacklogMax int // queued requests
	Canceller  *wait.Canceller
	Metrics    prometheus.Registerer
	Tasks      *sync.WaitGroup // counts what the Gate does in the background
	Log        *zap.Logger
}

// NewGate returns a Gate.
func NewGate(o GateOptions) *Gate {
	return &Gate{
		store: o.Store, bus: o.Bus, publish: dispatch.Publisher{Bus: o.Bus}, lanes: o.Lanes, tenants: o.Tenants,
		refusals: o.Refusals, budgets: o.Budgets,
		backlog: &backlog{most: o.BacklogMax, count: o.Store.Backlog}, canceller: o.Canceller,
		overLimits: metric.Register(o.Metrics, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "windlass_limit_refusals_total", Help: "Requests over a limit of their tenant, by limit.",
		}, []string{"limit"})),
		tasks: o.Tasks, log: o.Log,
	}
}

// Accept commits the request's row, with the exchange's Idempotency-Key, within
// query.Timeout. It goes on if the client hangs up, because the caller needs to
// know whether there is a row. If that stays unknown the request is cancelled
// later, unless its key leads to it. Accept returns idempotency.ErrUsed if the
// key was used before; package idempotency answers that.
//
// If the lane has a free slot and no queue, the row starts in progress. The
// claimer would do the same, with one more commit and two more hops.
//
// After an accept the body is dropped, of n and of x.
func (g *Gate) Accept(ctx context.Context, x *httpapi.Exchange, n *store.NewRequest) (run.Row, error) {
	ctx, cancel := query.WithTimeout(context.WithoutCancel(ctx))
	defer cancel()
	tenant := g.tenants.Find(n.Tenant)
	n.Limits, n.Weight = limitsOf(tenant), tenant.Weight
	if limit := g.refusals.refuse(n.Tenant, n.Limits); limit != nil {
		return run.Row{}, g.refuse(x, *n, limit)
	}
	if err := g.backlog.admit(ctx); err != nil {
		return run.Row{}, err
	}
	n.Once, n.Admit = x.Once, g.reserveSlot(n.Lane)
	failpoint.Hit(failpoint.AcceptBeforeCommit)
	began, asked := time.Now(), *n
	a, err := query.Retry(
		ctx, g.tasks, func(ctx context.Context) (store.Acceptance, error) { return g.store.Accept(ctx, asked) },
	)
	if err != nil {
		return run.Row{}, g.cleanUp(x, *n, began, err)
	}
	x.Accepted, x.Quota = true, quotaHeaders(n.Limits, a.Quota)
	n.Body, x.Body = nil, nil // workers read it from the row
	failpoint.Hit(failpoint.AcceptAfterCommit)
	return a.Row, nil
}

// cleanUp returns what a request without a row had reserved, and cancels one
// that may have a row.
func (g *Gate) cleanUp(x *httpapi.Exchange, n store.NewRequest, began time.Time, err error) error {
	var limit *limits.Error
	switch {
	case postgres.Unavailable(err):
		if n.Once.Key == "" {
			g.canceller.CancelLater(n.Tenant, n.ID)
		}
		return err
	case errors.As(err, &limit):
		g.refusals.add(n.Tenant, n.Limits, began, limit)
		err = g.refuse(x, n, limit)
	case !errors.Is(err, idempotency.ErrUsed) && !errors.Is(err, store.ErrStale) && n.Once.Key == "":
		g.canceller.CancelLater(n.Tenant, n.ID) // an unknown error: most probably there is no row
	}
	g.backlog.giveBack()
	if n.Admit {
		g.lanes.Release(n.Lane)
	}
	return err
}

func (g *Gate) refuse(x *httpapi.Exchange, n store.NewRequest, limit *limits.Error) error {
	g.overLimits.WithLabelValues(string(limit.Limit)).Inc()
	x.Quota = quotaHeaders(n.Limits, limit.Quota)
	return overLimit(n.Tenant, n.Limits, limit)
}

// reserveSlot reserves a slot of the lane by the last known load, and refreshes
// the load when it is due.
func (g *Gate) reserveSlot(lane string) bool {
	free, ask := g.lanes.Reserve(lane)
	if ask {
		g.tasks.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), query.Timeout)
			defer cancel()
			g.lanes.Refresh(ctx, lane)
		})
	}
	return free
}

// Dispatch publishes the first turn of a request that was admitted, or wakes
// the claimers for one that is queued. Losing either costs seconds.
func (g *Gate) Dispatch(ctx context.Context, row run.Row) {
	if row.Status == run.Queued {
		g.bus.Wake()
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), query.Timeout)
	defer cancel()
	if _, err := g.publish.Publish(ctx, false, row); err != nil {
		g.log.Info(
			"first turn not published, the sweep will", zap.String("request_id", run.Hex(row.ID)), zap.Error(err),
		)
	}
}
