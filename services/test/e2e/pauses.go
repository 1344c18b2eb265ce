//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"time"

	"windlass.dev/windlass/services/mock"
)

// Outage is the time from a kill until the process or server is ready again.
type Outage struct {
	Name string
	From time.Time
	Back time.Time
}

// Pause is a time in which a run was accepted, unfinished, and had no open
// call.
type Pause struct {
	RunID string
	From  time.Time // the last progress, or the end of the last outage during the pause
	Took  time.Duration
	After string // the outage at whose end the pause starts; "" if there was no outage
}

func (p Pause) String() string {
	return fmt.Sprintf("%.2f s in %s after %q", p.Took.Seconds(), p.RunID, p.After)
}

// Pauses returns the times in which a run made no progress although everything
// was up. Progress is: acceptance, begin and end of a call, the final status. A
// run that waits for a slow tool or model is not paused, because that call is
// open; the call of a killed process ends with its connection. An outage that
// begins during a pause moves the start of the pause to the end of the outage:
// recovery from each outage is measured by itself.
func Pauses(r Run, calls []mock.Entry, outages []Outage) []Pause {
	type span struct{ from, to time.Time }
	spans := []span{{r.Accepted, r.Accepted}, {r.Ended, r.Ended}}
	for _, e := range calls {
		if e.Ended.IsZero() {
			e.Ended = r.Ended
		}
		spans = append(spans, span{e.Started, e.Ended})
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from.Compare(b.from) })
	var pauses []Pause
	last := r.Accepted
	for _, s := range spans {
		if s.from.After(last) {
			p := Pause{RunID: r.ID, From: last}
			for _, o := range outages {
				if o.From.Before(s.from) && o.Back.After(p.From) {
					p.From, p.After = o.Back, o.Name
				}
			}
			if p.Took = s.from.Sub(p.From); p.Took > 0 {
				pauses = append(pauses, p)
			}
		}
		if s.to.After(last) {
			last = s.to
		}
	}
	return pauses
}

// OpenAt counts the calls of a kind that were open at a moment, or that ended
// so shortly before it that their answers may not have been stored.
func OpenAt(kind string, at time.Time, unstored time.Duration, ledger []mock.Entry) int {
	n := 0
	for _, e := range ledger {
		if e.Kind == kind && !e.Started.After(at) && (e.Ended.IsZero() || e.Ended.After(at.Add(-unstored))) {
			n++
		}
	}
	return n
}
