package limits

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/store/postgres"
)

const chargeSQL = `
WITH purse AS (
  SELECT tenant, GREATEST(extract(epoch FROM requests_until - now())::float8, 0) AS debt,
         GREATEST(extract(epoch FROM tokens_until - now())::float8, 0) AS token_debt
    FROM budgets WHERE tenant = @tenant FOR UPDATE),
charged AS (
  UPDATE budgets b SET requests_until = GREATEST(b.requests_until, now()) + make_interval(secs => @cost::float8)
    FROM purse p
   WHERE b.tenant = p.tenant
     AND (@cost::float8 = 0 OR floor((@whole::float8 - p.debt) / NULLIF(@cost::float8, 0) + 0.001) >= 1)
     AND (@token_whole::float8 = 0 OR p.token_debt < @token_whole::float8)
  RETURNING b.tenant)
SELECT debt, token_debt, EXISTS (SELECT FROM charged) FROM purse`

// Charge counts a request that has no row, like the warm-up of a WebSocket. It
// is never in flight. A repeat after a lost answer counts twice. The error is
// an *Error if the limits refuse it.
func (b *Budgets) Charge(ctx context.Context, tenant string, l Limits) (Quota, error) {
	if l.Requests.PerMinute == 0 && l.Tokens.PerMinute == 0 {
		return Quota{}, nil
	}
	if err := b.Open(ctx, []string{tenant}); err != nil {
		return Quota{}, err
	}
	rows, err := b.db.Send(ctx, chargeSQL, postgres.Args{
		"tenant": tenant, "cost": l.Requests.Cost(), "whole": l.Requests.Whole(), "token_whole": l.Tokens.Whole(),
	})
	if err != nil {
		return Quota{}, fmt.Errorf("charge a request of tenant %s: %w", tenant, err)
	}
	var u Use
	var charged bool
	_, err = pgx.ForEachRow(rows, []any{&u.Requests, &u.Tokens, &charged}, func() error { return nil })
	if err != nil {
		return Quota{}, fmt.Errorf("charge a request of tenant %s: %w", tenant, err)
	}
	if !charged {
		l.InFlight = 0 // it is not in flight, so that limit does not refuse it
		return Quota{}, fmt.Errorf("charge a request of tenant %s: %w", tenant, l.Refusal(u, 1))
	}
	return l.Remaining(u, 1), nil
}
