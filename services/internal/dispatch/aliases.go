package dispatch

import "windlass.dev/windlass/pkg/run"

// Names of package run, for users that are not converted yet.
var (
	BusID          = run.Hex
	RequestID      = run.ParseHex
	CreatedAt      = run.CreatedAt
	IdempotencyKey = run.IdempotencyKey
	InputHash      = run.InputHash
)
