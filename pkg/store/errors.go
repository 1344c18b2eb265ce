package store

import "errors"

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
