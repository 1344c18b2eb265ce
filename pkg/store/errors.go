package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

var (
	// ErrStale says that a write turned nothing: the row is terminal, or a later epoch, turn or attempt owns it, or the step was
	// turned before. The caller looks at the row again and publishes what it needs.
	ErrStale = errors.New("the row has moved on")
	// ErrNotFound says that the tenant has no such request or conversation, or that there is no such key.
	ErrNotFound = errors.New("not found")
	// ErrNoItem says that a conversation has no such item.
	ErrNoItem = errors.New("no such item")
	// ErrTooLarge says that what was asked for is more than the caller wants to read.
	ErrTooLarge = errors.New("too large")
	// ErrRepeat says that something else was done with an idempotency key before, or the same thing: nothing was written. The
	// caller looks at it with [Store.Seen].
	ErrRepeat = errors.New("the idempotency key was used before")
	// ErrSchema says that the database's schema is not the one this binary was built for.
	ErrSchema = errors.New("the database schema does not match")
)

// Unavailable tells whether the statement may be repeated as it is: the database is away, restarting, full or busy, the
// answer was lost, or a deadlock was broken. It says nothing of whether the statement was committed.
func Unavailable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	for _, verdict := range []error{ErrStale, ErrNotFound, ErrNoItem, ErrTooLarge, ErrRepeat, ErrSchema, pgx.ErrNoRows} {
		if errors.Is(err, verdict) {
			return false
		}
	}
	var limit *LimitError
	if errors.As(err, &limit) {
		return false
	}
	var pg *pgconn.PgError
	var scan pgx.ScanArgError
	if !errors.As(err, &pg) {
		return !errors.As(err, &scan) // a lost connection has many shapes; a verdict of the server has one
	}
	switch pg.Code[:2] {
	case "08", "53", "57", "58": // connection, resources, operator intervention (statement timeout too), system
		return true
	}
	return pg.Code == "40001" || pg.Code == "40P01" || pg.Code == "55P03" || pg.Code == "25006"
}
