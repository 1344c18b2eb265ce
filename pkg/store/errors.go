package store

import (
	"errors"

	"windlass.dev/windlass/pkg/store/postgres"
)

var (
	// ErrStale is [postgres.ErrStale].
	ErrStale = postgres.ErrStale
	// ErrNotFound is [postgres.ErrNotFound].
	ErrNotFound = postgres.ErrNotFound
	// ErrNoItem says that a conversation has no such item.
	ErrNoItem = errors.New("no such item")
	// ErrTooLarge says that what was asked for is more than the caller wants to read.
	ErrTooLarge = errors.New("too large")
	// ErrRepeat says that something else was done with an idempotency key before, or the same thing: nothing was written. The
	// caller looks at it with [Store.Seen].
	ErrRepeat = errors.New("the idempotency key was used before")
)
