package gateway

import (
	"sync"
	"time"

	"windlass.dev/windlass/pkg/store"
)

// maxSpent bounds the tenants that are remembered. Others are refused as well, by the database.
const maxSpent = 10_000

// spent are the tenants of which nothing can be accepted before a known time: what was used up comes back by time alone. They are
// refused without the database, which would otherwise be sent every body of a flood, together with other tenants' requests. Safe for
// concurrent use.
type spent struct {
	mu      sync.Mutex
	tenants map[string]refusal
}

// refusal is what the database said at a time.
type refusal struct {
	at     time.Time
	limits store.Limits
	error  store.LimitError
	wait   time.Duration // from at on
}

// learn notes a refusal of which the statement began at a time.
func (s *spent) learn(tenant string, l store.Limits, at time.Time, e *store.LimitError) {
	r := refusal{at: at, limits: l, error: *e}
	switch e.Limit {
	case store.LimitTokens:
		r.wait = e.After
	case store.LimitRequests: // After may be longer: of a statement's several requests the later ones wait for the earlier, too
		cost := time.Minute / time.Duration(l.Requests.PerMinute)
		r.wait = e.Quota.Requests.Reset + cost - time.Duration(l.Requests.Burst)*cost
	case store.LimitInFlight: // any end of a request may change it
	}
	if r.wait <= 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tenants) >= maxSpent {
		s.forget()
	}
	if len(s.tenants) < maxSpent {
		s.tenants[tenant] = r
	}
}

// clear forgets everything: what was used may have been forgiven.
func (s *spent) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tenants)
}

// forget drops those whose time has come.
func (s *spent) forget() {
	for tenant, r := range s.tenants {
		if time.Since(r.at) >= r.wait {
			delete(s.tenants, tenant)
		}
	}
}

// refuse says what the database would, or nil: nobody knows. Other limits than were refused by are not known of.
func (s *spent) refuse(tenant string, l store.Limits) *store.LimitError {
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

// later is what is left when so much time has passed. More may be: it is not less.
func later(a store.Allowance, past time.Duration) store.Allowance {
	a.Reset = max(a.Reset-past, 0)
	return a
}
