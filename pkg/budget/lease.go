package budget

import (
	"context"
	"time"
)

// Lease is the memory that one piece of work holds. It is safe for concurrent
// use. A nil Lease holds nothing and may grow without bound, for work that no
// client has caused.
type Lease struct {
	budget      *Budget
	use         Use
	tenant, key *account
	names       [2]string
	held        int64 // guarded by budget.mu
	closed      bool
}

// Size returns the bytes of the lease.
func (l *Lease) Size() int64 {
	if l == nil {
		return 0
	}
	l.budget.mu.Lock()
	defer l.budget.mu.Unlock()
	return l.held
}

// Grow takes n more bytes at once, or none and returns ErrShare or ErrFull. A
// closed lease takes none and returns nil: its work has ended.
func (l *Lease) Grow(n int64) error {
	if l == nil {
		return nil
	}
	_, err := l.grow(n, false)
	if err != nil {
		l.budget.metrics.refuse(l.use, err)
	}
	return err
}

// Await is Grow, except that it waits up to limit for others to release what is
// missing. It returns the error of the last try, or the cause of ctx.
func (l *Lease) Await(ctx context.Context, n int64, limit time.Duration) error {
	if l == nil {
		return nil
	}
	freed, err := l.grow(n, true)
	if err == nil {
		return nil
	}
	if limit <= 0 {
		l.budget.metrics.refuse(l.use, err)
		return err
	}
	late := time.NewTimer(limit)
	defer late.Stop()
	for {
		select {
		case <-freed:
		case <-late.C:
			l.budget.metrics.refuse(l.use, err)
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if freed, err = l.grow(n, true); err == nil {
			return nil
		}
	}
}

// grow takes n bytes. After an error and with wait set, freed is closed by the
// next release.
func (l *Lease) grow(n int64, wait bool) (freed <-chan struct{}, err error) {
	b := l.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	if l.closed {
		return nil, nil
	}
	if err := b.admit(l.tenant, l.key, n); err != nil {
		if wait {
			return b.wait(), err
		}
		return nil, err
	}
	b.charge(l, n)
	return nil, nil
}

// Shrink releases n bytes, or all if there are fewer.
func (l *Lease) Shrink(n int64) {
	if l == nil {
		return
	}
	l.budget.mu.Lock()
	defer l.budget.mu.Unlock()
	l.budget.charge(l, -min(n, l.held))
}

// Close releases all bytes. The second call does nothing.
func (l *Lease) Close() {
	if l == nil {
		return
	}
	b := l.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	b.charge(l, -l.held)
	tenant, key := l.names[0], l.names[1]
	if l.key.leases--; l.key.leases == 0 {
		delete(l.tenant.keys, key)
	}
	if l.tenant.leases--; l.tenant.leases == 0 {
		delete(b.tenants, tenant)
	}
}
