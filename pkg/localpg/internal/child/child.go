// Package child has what the child processes of a local Postgres have in
// common.
package child

import (
	"strings"
	"time"
)

// KillDelay is the time from a child's cancellation until its pipes are closed.
const KillDelay = 5 * time.Second

// LastLines returns the end of a child's output on one line, for an error's
// text.
func LastLines(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-6):], "; ")
}
