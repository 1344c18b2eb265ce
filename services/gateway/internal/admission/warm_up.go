package admission

import (
	"context"
	"errors"
	"time"

	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/limits"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
)

// CountWarmUp counts a warm-up against the limits of its tenant, as if it were
// a request: it has no row, but costs memory and work. Over a limit it is
// refused like a request.
func (g *Gate) CountWarmUp(ctx context.Context, x *httpapi.Exchange, n store.NewRequest) error {
	ctx, cancel := query.WithTimeout(ctx)
	defer cancel()
	n.Limits = limitsOf(g.tenants.Find(n.Tenant))
	if limit := g.refusals.refuse(n.Tenant, n.Limits); limit != nil {
		return g.refuse(x, n, limit)
	}
	began := time.Now()
	quota, err := query.Retry(ctx, g.tasks, func(ctx context.Context) (limits.Quota, error) {
		return g.budgets.Charge(ctx, n.Tenant, n.Limits)
	})
	var limit *limits.Error
	if errors.As(err, &limit) {
		g.refusals.add(n.Tenant, n.Limits, began, limit)
		return g.refuse(x, n, limit)
	}
	if err != nil {
		return err
	}
	x.Quota = quotaHeaders(n.Limits, quota)
	return nil
}
