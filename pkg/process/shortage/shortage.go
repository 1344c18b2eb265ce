// Package shortage tells what a process lacks from what a model or a tool did
// wrong: file descriptors, memory, and secrets that cannot be read. Such work
// is repeated in place, counts no attempt, and makes the process unready.
//
// It promises that Retry repeats an operation until it fails for another reason
// or its context ends, and that a shortage shows in readiness and in a metric
// (TestRetry).
package shortage

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/metric"
	"windlass.dev/windlass/pkg/retry"
)

// Error says that an operation failed for want of something.
type Error struct {
	Lack  string // descriptors, memory or secret
	Cause error
}

func (e *Error) Error() string { return "the process lacks " + e.Lack + ": " + e.Cause.Error() }
func (e *Error) Unwrap() error { return e.Cause }

// Public returns what readiness shows: the cause can hold an address or a path.
func (e *Error) Public() string { return "the process lacks " + e.Lack }

// What a process can lack.
const (
	descriptors = "descriptors"
	memory      = "memory"
	secret      = "secret"
)

// Of returns err as an *Error if the system refused descriptors or memory, and
// nil otherwise.
func Of(err error) error {
	var found *Error
	var lookup *net.DNSError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &found):
		return found
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return &Error{descriptors, err}
	case errors.Is(err, syscall.ENOMEM), errors.Is(err, syscall.ENOBUFS):
		return &Error{memory, err}
	case errors.As(err, &lookup) && strings.Contains(lookup.Err, syscall.EMFILE.Error()): // it keeps only the text
		return &Error{descriptors, err}
	default:
		return nil
	}
}

// Secret returns the error of a secret that cannot be read.
func Secret(err error) error { return &Error{secret, err} }

// policy is how often an operation is repeated.
var policy = retry.Policy{First: 50 * time.Millisecond, Last: 2 * time.Second}

// memoryTime is how long a shortage makes the process unready. An operation
// that still fails is repeated more often.
const memoryTime = 5 * time.Second

// Watch counts shortages. It is safe for concurrent use; nil counts nothing.
type Watch struct {
	log     *zap.Logger
	counter *prometheus.CounterVec
	last    atomic.Pointer[seen]
	logged  atomic.Int64
}

type seen struct {
	at  time.Time
	err *Error
}

// NewWatch registers its metric.
func NewWatch(log *zap.Logger, reg prometheus.Registerer) *Watch {
	return &Watch{log: log, counter: metric.Register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "windlass_shortages_total",
		Help: "Operations that failed for want of descriptors, memory or a secret, and were repeated.",
	}, []string{"lack"}))}
}

// Ready is a check of readiness: it fails for 5 s after a shortage.
func (w *Watch) Ready(context.Context) error {
	if s := w.last.Load(); s != nil && time.Since(s.at) < memoryTime {
		return s.err
	}
	return nil
}

// Retry repeats op while its error is a shortage. If ctx ends first, the error
// holds the last *Error and the cause of ctx.
func (w *Watch) Retry(ctx context.Context, op func(context.Context) error) error {
	return retry.Do(ctx, policy, w.note, func(ctx context.Context) error {
		err := op(ctx)
		if lack := Of(err); lack != nil {
			return lack
		}
		return err
	})
}

// note reports whether err is a shortage, and counts it.
func (w *Watch) note(err error) bool {
	var lack *Error
	if !errors.As(err, &lack) {
		return false
	}
	if w == nil {
		return true
	}
	w.counter.WithLabelValues(lack.Lack).Inc()
	w.last.Store(&seen{time.Now(), lack})
	now, last := time.Now().UnixNano(), w.logged.Load()
	if now-last > int64(memoryTime) && w.logged.CompareAndSwap(last, now) {
		w.log.Error("operations are repeated until the process has what it lacks", zap.Error(err))
	}
	return true
}
