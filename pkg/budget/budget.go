package budget

import (
	"errors"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// ErrShare reports that a tenant or a key holds all that it may: its client
// should wait until its own work has ended (429).
var ErrShare = errors.New("the share of the memory budget is used up")

// ErrFull reports that others hold so much that there is no room (503).
var ErrFull = errors.New("the memory budget of the process is used up")

// Use says what bytes are held for. It is a label of the metrics.
type Use int

// The uses of memory.
const (
	Body   Use = iota // of a request over HTTP, while it is read and served
	Socket            // messages and kept responses of WebSockets
	Reader            // frames that a client has not read yet
	Answer            // of a model, while it is read and committed
	uses
)

var useNames = [uses]string{"body", "socket", "reader", "answer"}

// Budget is the memory of one process. It is safe for concurrent use.
type Budget struct {
	limit   int64
	metrics *metrics

	mu      sync.Mutex
	held    int64
	byUse   [uses]int64
	tenants map[string]*account
	active  int           // tenants that hold bytes
	freed   chan struct{} // closed by the next release; nil without waiters
}

// account is what a tenant or one of its keys holds.
type account struct {
	held   int64
	leases int
	keys   map[string]*account // of a tenant
}

// New returns a budget of limit bytes and registers its metrics.
func New(limit int64, reg prometheus.Registerer) *Budget {
	b := &Budget{limit: limit, tenants: make(map[string]*account)}
	b.metrics = newMetrics(b, reg)
	return b
}

// Limit returns the bytes of the whole budget.
func (b *Budget) Limit() int64 { return b.limit }

// Size returns the bytes of all leases.
func (b *Budget) Size() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held
}

// KeyShare returns how much a single key can hold while no other key holds
// anything. A piece of work that needs more can never run.
func (b *Budget) KeyShare() int64 { return b.limit / 3 }

// Open returns an empty lease. key is the name of an API key, unique in its
// tenant; several leases of one name share its part. Close it. The lease of a
// nil Budget is nil.
func (b *Budget) Open(use Use, tenant, key string) *Lease {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.tenants[tenant]
	if t == nil {
		t = &account{keys: make(map[string]*account)}
		b.tenants[tenant] = t
	}
	k := t.keys[key]
	if k == nil {
		k = &account{}
		t.keys[key] = k
	}
	t.leases++
	k.leases++
	return &Lease{budget: b, use: use, tenant: t, key: k, names: [2]string{tenant, key}}
}

// admit returns nil if a tenant and its key may hold n more bytes. The caller
// holds mu.
func (b *Budget) admit(tenant, key *account, n int64) error {
	free := b.limit - b.held - n // afterwards
	if tenant.held+n <= free && key.held+n <= free/2 {
		return nil
	}
	// Its part, if all that hold bytes were as greedy.
	greedy := int64(b.active)
	if tenant.held == 0 {
		greedy++
	}
	part := b.limit / (greedy + 1)
	if tenant.held+n > part || key.held+n > part/2 {
		return ErrShare
	}
	return ErrFull
}

// charge adds n bytes, which may be negative. The caller holds mu.
func (b *Budget) charge(l *Lease, n int64) {
	before := l.tenant.held
	l.held += n
	l.tenant.held += n
	l.key.held += n
	b.held += n
	b.byUse[l.use] += n
	switch {
	case before == 0 && l.tenant.held > 0:
		b.active++
	case before > 0 && l.tenant.held == 0:
		b.active--
	}
	if n < 0 && b.freed != nil {
		close(b.freed)
		b.freed = nil
	}
}

// wait returns a channel that is closed by the next release. The caller holds
// mu.
func (b *Budget) wait() <-chan struct{} {
	if b.freed == nil {
		b.freed = make(chan struct{})
	}
	return b.freed
}
