package admission

import (
	"sync"
	"time"

	"windlass.dev/windlass/pkg/store/limits"
)

// maxRefusals bounds the tenants in the cache. The database refuses the others.
const maxRefusals = 10_000

// RefusalCache refuses throttled tenants without a query until their rate
// allows another request. Without it the database would get every body of a
// flood, together with other tenants' requests. Limits of requests in flight
// are not cached, because any end of a request may change them. It is safe for
// concurrent use.
type RefusalCache struct {
	mu      sync.Mutex
	tenants map[string]refusal
}

// refusal is what the database said at a time.
type refusal struct {
	at     time.Time
	limits limits.Limits
	error  limits.Error
	wait   time.Duration // from at on
}

// NewRefusalCache returns an empty cache.
func NewRefusalCache() *RefusalCache { return &RefusalCache{tenants: map[string]refusal{}} }

// add caches a refusal of a statement that began at a time.
func (s *RefusalCache) add(tenant string, l limits.Limits, at time.Time, e *limits.Error) {
	r := refusal{at: at, limits: l, error: *e}
	switch e.Limit {
	case limits.Tokens:
		r.wait = e.After
	case limits.Requests:
		// After may be longer: later requests of a statement wait for the
		// earlier ones, too.
		cost := time.Minute / time.Duration(l.Requests.PerMinute)
		r.wait = e.Quota.Requests.Reset + cost - time.Duration(l.Requests.Burst)*cost
	case limits.InFlight: // any end of a request may change it
	}
	if r.wait <= 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tenants) >= maxRefusals {
		s.dropExpired()
	}
	if len(s.tenants) < maxRefusals {
		s.tenants[tenant] = r
	}
}

// Clear empties the cache. Call it when limits were raised or used tokens were
// erased.
func (s *RefusalCache) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tenants)
}

// dropExpired drops refusals that have expired. The caller holds the lock.
func (s *RefusalCache) dropExpired() {
	for tenant, r := range s.tenants {
		if time.Since(r.at) >= r.wait {
			delete(s.tenants, tenant)
		}
	}
}

// refuse returns the error that the database would return, or nil if it is not
// known. A refusal by other limits does not count.
func (s *RefusalCache) refuse(tenant string, l limits.Limits) *limits.Error {
	s.mu.Lock()
	r, ok := s.tenants[tenant]
	s.mu.Unlock()
	past := time.Since(r.at)
	if !ok || r.limits != l || past >= r.wait {
		return nil
	}
	e := r.error
	e.After = r.wait - past
	e.Quota.Requests = later(e.Quota.Requests, past)
	e.Quota.Tokens = later(e.Quota.Tokens, past)
	return &e
}

// later returns a lower bound of the allowance after some time.
func later(a limits.Allowance, past time.Duration) limits.Allowance {
	a.Reset = max(a.Reset-past, 0)
	return a
}
