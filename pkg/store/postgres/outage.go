package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/zap"
)

const (
	// sameReason is the time between two log lines of one reason.
	sameReason = time.Minute
	// otherReason is the time between two log lines of different reasons.
	otherReason = 5 * time.Second
)

// outage records why connecting to the database fails, and logs each reason
// once: every statement tries to connect. It is safe for concurrent use.
type outage struct {
	log *zap.Logger // nil: logs nothing

	mu     sync.Mutex
	reason error // nil: the last attempt succeeded
	since  time.Time
	logged string
	at     time.Time // of the last log line
}

// recordFailure records an attempt that failed.
func (o *outage) recordFailure(err error) {
	if errors.Is(err, context.Canceled) {
		return // the caller gave up
	}
	reason := connectReason(err)
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if o.reason == nil {
		o.since = now
	}
	o.reason = reason
	text := reason.Error()
	if age := now.Sub(o.at); o.log == nil || age < otherReason || text == o.logged && age < sameReason {
		return
	}
	o.logged, o.at = text, now
	level := zap.WarnLevel
	if refusedForGood(err) {
		level = zap.ErrorLevel
	}
	o.log.Log(level, "database connection failed", zap.Error(reason))
}

// recordSuccess records an attempt that succeeded.
func (o *outage) recordSuccess() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.reason != nil && o.logged != "" && o.log != nil {
		o.log.Warn("database connection restored", zap.Duration("took", time.Since(o.since)))
	}
	o.reason, o.logged, o.at = nil, "", time.Time{}
}

// current returns why the last attempt failed, nil if it succeeded.
func (o *outage) current() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.reason
}

// connectReason describes in one line why a connection failed, in the server's
// own words if it answered.
func connectReason(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && !errors.Is(err, errReadOnly) { // with several hosts, a read-only one is worth naming too
		return fmt.Errorf("server refused the connection: %w", pg)
	}
	return fmt.Errorf("%w", oneLine{err})
}

// refusedForGood reports whether a server refused a connection for a reason
// that an operator has to fix: the password, the database's name, a startup
// parameter.
func refusedForGood(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && !transientCode(pg)
}

// oneLine joins the lines of an error, one for each host and each way to
// encrypt, and drops repetitions.
type oneLine struct{ error }

func (e oneLine) Error() string {
	var parts []string
	for line := range strings.Lines(e.error.Error()) {
		if line = strings.TrimSpace(line); !slices.Contains(parts, line) {
			parts = append(parts, line)
		}
	}
	return strings.Replace(strings.Join(parts, "; "), ":; ", ": ", 1)
}

func (e oneLine) Unwrap() error { return e.error }

// unready is why a database cannot be used now.
type unready struct{ error }

func (e unready) Unwrap() error { return e.error }

// Public names the kind of failure without the server's words, which may name
// addresses, users and databases.
func (e unready) Public() string {
	var pg *pgconn.PgError
	switch {
	case errors.Is(e.error, errReadOnly):
		return errReadOnly.Error()
	case errors.As(e.error, &pg):
		return "the server answers SQLSTATE " + pg.Code
	case errors.Is(e.error, context.DeadlineExceeded):
		return "no answer in time"
	}
	return "no connection"
}
