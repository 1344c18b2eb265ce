package run

import "time"

// Row is a request's row: where the run is, and what it waits for. Durations
// are taken by the database's clock.
type Row struct {
	ID        ID
	Tenant    string
	Endpoint  Endpoint
	Lane      string
	Model     string
	Status    Status
	Stage     Stage
	Live      bool
	Epoch     int
	Turn      int
	Attempt   int
	Pending   int
	Failures  int
	Crashes   int    // of this turn; see SuspectCrashes
	Outcome   Status // what the finalizer settles to, once known; else empty
	Reason    Code   // goes with the outcome
	Trace     string
	CreatedAt time.Time
	Parent    ID   // the request it continues; zero if absent
	Streamed  bool // its events are written to the bus
	// Conversation is what it continues and adds to; zero if absent. It may
	// have been deleted since.
	Conversation ID
	// Unpublished says that the turn was parked and that its command was not
	// published since.
	Unpublished bool
	DueIn       time.Duration // until not_before; never negative
	Remaining   time.Duration // until the deadline
	Age         time.Duration // since the last commit that moved it, or since what it parked became due
	Steps       []Step        // the turn's tool steps that are still dispatched, in StageTools
}

// Next is the kind of message that a row needs.
type Next int

// What a row may need.
const (
	Nothing   Next = iota
	RunTurn        // a turn command
	RunTools       // a tool command for each of Steps whose DueIn is 0
	RunFinal       // a final command: settle, or after-work of a terminal row
	WaitUntil      // nothing before DueIn has passed
)

// Next says which message the row needs now. Every publisher uses it.
func (r Row) Next() Next {
	switch {
	case r.Status == Queued || !r.Live:
		return Nothing // the claim reads queued rows itself
	case r.Status.Terminal() || r.Stage == StageSettle:
		return RunFinal
	case r.Stage == StageTools:
		return RunTools
	case r.DueIn > 0:
		return WaitUntil
	default:
		return RunTurn
	}
}

// Chain is a request as a worker needs it: the row, the body that was accepted,
// and every step recorded so far, in order.
type Chain struct {
	Row
	Body  []byte
	Steps []Step
}

// Dispatched returns the current turn's tool steps that are not done.
func (c Chain) Dispatched() []Step {
	if c.Stage != StageTools {
		return nil
	}
	var open []Step
	for _, s := range c.Steps {
		if s.Turn == c.Turn && s.Index > 0 && s.State == StepDispatched {
			open = append(open, s)
		}
	}
	return open
}
