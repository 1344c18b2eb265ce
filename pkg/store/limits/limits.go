// Package limits defines how much a tenant may use, over all gateways, and what
// the table budgets says of its use.
//
// The accept of a request checks and charges the limits in its own commit
// (store.Accept), and a settlement charges tokens (store.Settle). A budget is
// kept as the time at which its allowance is whole again, so that nothing has
// to refill it.
//
// # Promises
//
//   - Limits hold over all gateways, because an accept reads the use under a
//     lock that it holds until its commit (TestLimitsHoldOverGateways).
//   - Refused and repeated requests are not charged (TestRepeatsAreNotCharged).
//   - Tokens are charged at the end of a request, so a tenant may overdraw once
//     (TestTokensAreChargedAtTheEnd).
package limits

import (
	"fmt"
	"math"
	"time"

	"windlass.dev/windlass/pkg/store/postgres"
)

// Rate is an allowance that refills evenly. The zero Rate is no limit.
type Rate struct {
	PerMinute int
	Burst     int // how much may be used at once
}

// Cost is the time in seconds in which one unit refills; 0 without a limit.
func (r Rate) Cost() float64 {
	if r.PerMinute == 0 {
		return 0
	}
	return time.Minute.Seconds() / float64(r.PerMinute)
}

// Whole is the time in seconds in which an empty allowance refills.
func (r Rate) Whole() float64 { return r.Cost() * float64(r.Burst) }

// allowance returns what is left of the rate when it takes debt seconds to be
// whole again.
func (r Rate) allowance(debt float64) Allowance {
	if r.PerMinute == 0 {
		return Allowance{}
	}
	remaining := math.Floor((r.Whole()-debt)/r.Cost() + rounding)
	return Allowance{Remaining: max(int(remaining), 0), Reset: postgres.Duration(max(debt, 0))}
}

// rounding keeps a whole allowance whole: times are kept to the microsecond.
const rounding = 1e-3

// Limits bound what a tenant may have accepted, over all gateways. A zero field
// is no limit.
type Limits struct {
	Requests Rate
	// Tokens are charged when a request ends: nothing is accepted while the
	// tenant has used more than its allowance.
	Tokens Rate
	// InFlight bounds requests that are queued or in progress. With 0 they are
	// not counted.
	InFlight int
}

// Any reports whether there is a limit.
func (l Limits) Any() bool { return l != Limits{} }

// Allowance is what a rate leaves.
type Allowance struct {
	Remaining int
	Reset     time.Duration // until it is whole again
}

// Quota is what a tenant's limits leave, as its last accept saw them.
type Quota struct {
	Requests Allowance
	Tokens   Allowance
	InFlight int // this request included; 0 if they were not counted
}

// Limit names one of a tenant's limits.
type Limit string

// The limits.
const (
	Requests Limit = "requests"
	Tokens   Limit = "tokens"
	InFlight Limit = "in_flight"
)

// Error means that a request would exceed a limit of its tenant. Nothing was
// written.
type Error struct {
	Limit Limit
	// After is when a retry may succeed; 0: when a request of the tenant ends.
	After time.Duration
	Quota Quota
}

func (e *Error) Error() string {
	return fmt.Sprintf("the tenant's limit of %s is reached", e.Limit)
}

// Use is what a statement read of a tenant's use before it charged anything.
// The rates are in seconds until their allowance is whole again.
type Use struct {
	Requests, Tokens float64
	InFlight         int
}

// Refusal returns which limit kept the nth request of its tenant, from 1, out
// of the statement that read u.
func (l Limits) Refusal(u Use, nth int) *Error {
	e := &Error{Quota: Quota{
		Requests: l.Requests.allowance(u.Requests), Tokens: l.Tokens.allowance(u.Tokens), InFlight: u.InFlight,
	}}
	switch {
	case l.InFlight > 0 && u.InFlight+nth > l.InFlight:
		e.Limit = InFlight
	case l.Tokens.PerMinute > 0 && u.Tokens >= l.Tokens.Whole():
		e.Limit, e.After = Tokens, postgres.Duration(u.Tokens-l.Tokens.Whole()+l.Tokens.Cost())
	default:
		e.Limit, e.After = Requests, postgres.Duration(u.Requests+float64(nth)*l.Requests.Cost()-l.Requests.Whole())
	}
	return e
}

// Remaining returns the quota after the nth request of its tenant, from 1, was
// accepted by the statement that read u.
func (l Limits) Remaining(u Use, nth int) Quota {
	return Quota{
		Requests: l.Requests.allowance(u.Requests + float64(nth)*l.Requests.Cost()),
		Tokens:   l.Tokens.allowance(u.Tokens), InFlight: u.InFlight + nth,
	}
}
