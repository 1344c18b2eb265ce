package limits

import (
	"context"
	"fmt"
	"sync"

	"windlass.dev/windlass/pkg/store/postgres"
)

// Budgets are the rows of the table budgets, one per tenant with limits. It is
// safe for concurrent use.
type Budgets struct {
	db   *postgres.DB
	open sync.Map // tenant → struct{}; their rows exist
}

// New returns the budgets on the pool.
func New(db *postgres.DB) *Budgets { return &Budgets{db: db} }

const openSQL = `
INSERT INTO budgets (tenant) SELECT tenant FROM unnest(@tenants::text[]) AS tenant ORDER BY tenant
ON CONFLICT DO NOTHING`

// Open creates the rows of tenants that lack one, with one statement for each
// tenant in the life of this process. A statement that charges a tenant locks
// its row: without a row, two of them would not see each other's accepts.
func (b *Budgets) Open(ctx context.Context, tenants []string) error {
	var missing []string
	for _, tenant := range tenants {
		if _, ok := b.open.Load(tenant); !ok {
			missing = append(missing, tenant)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if _, err := b.db.Exec(ctx, openSQL, postgres.Args{"tenants": missing}); err != nil {
		return fmt.Errorf("open the budgets of %d tenants: %w", len(missing), err)
	}
	for _, tenant := range missing {
		b.open.Store(tenant, struct{}{})
	}
	return nil
}

const stopChargingSQL = `
UPDATE budgets SET token_cost = 0, tokens_until = now() WHERE token_cost > 0 AND NOT tenant = ANY (@limited::text[])`

// StopCharging ends the charging of tokens for all tenants except limited. A
// settlement does not know the registry, so it charges a tenant whose limit was
// removed until StopCharging is called; and what a tenant uses without a limit
// must not count when it gets one again.
func (b *Budgets) StopCharging(ctx context.Context, limited []string) error {
	if _, err := b.db.Exec(ctx, stopChargingSQL, postgres.Args{"limited": append([]string{}, limited...)}); err != nil {
		return fmt.Errorf("stop charging tokens: %w", err)
	}
	return nil
}
