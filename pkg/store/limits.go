package store

import (
	"context"
	"fmt"
	"math"
	"time"

	"windlass.dev/windlass/pkg/store/postgres"
)

// Rate is an allowance that comes back evenly. The zero Rate is no limit.
type Rate struct {
	PerMinute int
	Burst     int // how much may be used at once
}

// cost is the time in seconds that one takes to come back.
func (r Rate) cost() float64 {
	if r.PerMinute == 0 {
		return 0
	}
	return time.Minute.Seconds() / float64(r.PerMinute)
}

// whole is the time in seconds in which all of it comes back.
func (r Rate) whole() float64 { return r.cost() * float64(r.Burst) }

// Limits bound what a tenant may have accepted, over all gateways. A zero is no limit.
type Limits struct {
	Requests Rate
	// Tokens are charged when a request ends: nothing is accepted while more have been used than there were.
	Tokens Rate
	// InFlight bounds requests that are queued or in progress. Zero leaves them uncounted.
	InFlight int
}

// Any tells whether there is a limit.
func (l Limits) Any() bool { return l != Limits{} }

// Allowance is what a rate leaves.
type Allowance struct {
	Remaining int
	Reset     time.Duration // until it is whole again
}

func (r Rate) left(debt float64) Allowance {
	if r.PerMinute == 0 {
		return Allowance{}
	}
	left := math.Floor((r.whole()-debt)/r.cost() + rounding)
	return Allowance{Remaining: max(int(left), 0), Reset: postgres.Duration(max(debt, 0))}
}

// Quota is what a tenant's limits leave, as the accept that was just made saw them.
type Quota struct {
	Requests Allowance
	Tokens   Allowance
	InFlight int // with this request, where they were counted
}

// Limit names one of a tenant's limits.
type Limit string

// The limits.
const (
	LimitRequests Limit = "requests"
	LimitTokens   Limit = "tokens"
	LimitInFlight Limit = "in_flight"
)

// LimitError says that a request would go over a limit of its tenant. Nothing was written.
type LimitError struct {
	Limit Limit
	// After is when it is worth trying again; 0: when a request of the tenant ends.
	After time.Duration
	Quota Quota
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("the tenant's limit of %s is reached", e.Limit)
}

// rounding keeps a whole allowance whole: times are kept to the microsecond.
const rounding = 1e-3

// budget is what a statement has read of a tenant's use, in seconds that its allowances take to be whole again, before it charged
// anything.
type budget struct {
	requests, tokens float64
	open             int
}

// refusal says which limit kept the nth request of its tenant out of the statement that read b.
func (l Limits) refusal(b budget, nth int) *LimitError {
	e := &LimitError{Quota: Quota{Requests: l.Requests.left(b.requests), Tokens: l.Tokens.left(b.tokens), InFlight: b.open}}
	switch {
	case l.InFlight > 0 && b.open+nth > l.InFlight:
		e.Limit = LimitInFlight
	case l.Tokens.PerMinute > 0 && b.tokens >= l.Tokens.whole():
		e.Limit, e.After = LimitTokens, postgres.Duration(b.tokens-l.Tokens.whole()+l.Tokens.cost())
	default:
		e.Limit, e.After = LimitRequests, postgres.Duration(b.requests+float64(nth)*l.Requests.cost()-l.Requests.whole())
	}
	return e
}

// after is what is left when the nth request of its tenant is accepted by the statement that read b.
func (l Limits) after(b budget, nth int) Quota {
	return Quota{
		Requests: l.Requests.left(b.requests + float64(nth)*l.Requests.cost()), Tokens: l.Tokens.left(b.tokens), InFlight: b.open + nth,
	}
}

// share is what one limited tenant asks of a statement.
type share struct {
	tenant string
	Limits
}

// spot is a request's place in its tenant's share: the nth of it, from 1; 0 has no limits.
type spot struct {
	share int
	nth   int
}

// shares sorts a statement's requests by limited tenant. The limits of a tenant's first request count for all; its requests in
// flight are counted when one of them asks for it.
func shares(all []NewRequest) (limited []share, spots []spot) {
	spots = make([]spot, len(all))
	last := map[string]spot{}
	for i, n := range all {
		if !n.Limits.Any() {
			continue
		}
		at, known := last[n.Tenant]
		if !known {
			at.share = len(limited)
			limited = append(limited, share{n.Tenant, n.Limits})
		}
		limited[at.share].InFlight = max(limited[at.share].InFlight, n.Limits.InFlight)
		at.nth++
		last[n.Tenant], spots[i] = at, at
	}
	return limited, spots
}

const forgetTokensSQL = `
UPDATE budgets SET token_cost = 0, tokens_until = now() WHERE token_cost > 0 AND NOT tenant = ANY (@limited::text[])`

// ForgetTokens ends the charging of all tenants but those that have a limit of tokens: postgres.NilID else tells those who settle that a limit
// is gone, and what was used without one must not count once there is one again.
func (s *Store) ForgetTokens(ctx context.Context, limited []string) error {
	if _, err := s.db.Exec(ctx, forgetTokensSQL, postgres.Args{"limited": append([]string{}, limited...)}); err != nil {
		return fmt.Errorf("forget tokens: %w", err)
	}
	return nil
}
