package process

import (
	"runtime/debug"

	"github.com/sethvargo/go-envconfig"
)

const (
	defaultMemory = 1 << 30
	minMemory     = 64 << 20
	// noLimit is what the runtime has if GOMEMLIMIT is not set or "off".
	noLimit = 1<<63 - 1
)

// limitMemory returns how much memory the process may use: max, or GOMEMLIMIT
// if max is 0, or the default. Without GOMEMLIMIT it sets the runtime's soft
// limit a tenth below that, because the limit does not count the binary, the
// stacks of C, and what the kernel holds for the process.
//
// The soft limit makes the collector run more often as the heap comes near.
// That works as long as what is alive stays well below, which is why clients
// get only half (budgetOf).
func limitMemory(max int64, environment envconfig.Lookuper) int64 {
	if value, set := environment.Lookup("GOMEMLIMIT"); set && value != "" {
		if soft := debug.SetMemoryLimit(-1); max == 0 && soft != noLimit {
			return soft
		}
		return orDefault(max)
	}
	max = orDefault(max)
	debug.SetMemoryLimit(max - max/10)
	return max
}

// budgetOf returns how much of the memory of the process clients and upstreams
// may make it hold.
func budgetOf(max int64) int64 { return orDefault(max) / 2 }

func orDefault(max int64) int64 {
	if max == 0 {
		return defaultMemory
	}
	return max
}
