package process

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	checkFresh   = 2 * time.Second // how long a check's answer is used again
	checkTimeout = time.Second
)

var errCheckTimeout = errors.New("check took too long")

// Health is what a process answers about itself. Safe for concurrent use; make
// it with NewHealth.
type Health struct {
	draining atomic.Bool
	mu       sync.Mutex
	checks   []*check
}

// NewHealth returns a Health without checks, which is ready.
func NewHealth() *Health { return &Health{} }

// Check makes readiness depend on fn. It is called at most every 2 s however
// often the process is probed, never twice at a time, with a deadline of 1 s;
// it must return when its context ends. Two services of one process may use the
// same name: each check counts.
func (h *Health) Check(name string, fn func(ctx context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks = append(h.checks, &check{name: name, fn: fn})
}

// Names returns the names of the checks, in the order in which they came.
func (h *Health) Names() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	names := make([]string, len(h.checks))
	for i, c := range h.checks {
		names[i] = c.name
	}
	return names
}

// Drain makes the process unready for good.
func (h *Health) Drain() { h.draining.Store(true) }

// ErrStarting says that a process has not registered any check yet: what it
// serves is not there.
var ErrStarting = errors.New("starting")

// Ready returns nil if the process is not draining, has checks, and every check
// is passed, otherwise ErrDraining, ErrStarting or every check's fault. A
// service registers its checks when it is about to serve. The error may name
// addresses and users: /readyz answers without them.
func (h *Health) Ready(ctx context.Context) error {
	if h.draining.Load() {
		return ErrDraining
	}
	h.mu.Lock()
	checks := h.checks
	h.mu.Unlock()
	if len(checks) == 0 {
		return ErrStarting
	}

	errs := make([]error, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() { errs[i] = c.answer(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// check is one condition of readiness and the last answer to it.
type check struct {
	name string
	fn   func(context.Context) error

	mu  sync.Mutex
	at  time.Time
	err error
}

func (c *check) answer(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.at.IsZero() && time.Since(c.at) < checkFresh {
		return c.err
	}
	// The answer outlives the probe that asked, so a probe that hangs up must
	// not decide it.
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), checkTimeout, errCheckTimeout)
	defer cancel()
	c.err = nil
	if err := c.fn(ctx); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		c.err = &checkError{c.name, err}
	}
	c.at = time.Now()
	return c.err
}

// checkError is the failure of one check.
type checkError struct {
	name string
	err  error
}

func (e *checkError) Error() string { return e.name + ": " + e.err.Error() }

func (e *checkError) Unwrap() error { return e.err }

// public returns what anyone may read of a check's failure: the check's name,
// and the text that the error has for the public, with a Public method. Other
// errors may name addresses, users and databases.
func (e *checkError) public() string {
	var p interface{ Public() string }
	if errors.As(e.err, &p) {
		return e.name + ": " + p.Public()
	}
	return e.name + ": failed, the log has the reason"
}

// publicText returns what /readyz answers for an error of Ready.
func publicText(err error) string {
	joined, ok := err.(interface{ Unwrap() []error }) // of Ready itself
	if !ok {
		return err.Error()
	}
	var lines []string
	for _, e := range joined.Unwrap() {
		var c *checkError
		if errors.As(e, &c) {
			lines = append(lines, c.public())
		}
	}
	return strings.Join(lines, "\n")
}
