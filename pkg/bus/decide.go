package bus

import (
	"errors"
	"fmt"
)

// What a handler returns, or finds as the cause of its context's end.
var (
	// ErrStale is returned when a later attempt or epoch owns the row and what it needs is published.
	ErrStale = errors.New("a later attempt owns the step")
	// ErrPoison is returned when a message cannot be handled, ever, and the failure is committed or published.
	ErrPoison = errors.New("message cannot be handled")
	// ErrCancelled is the cause when the message's request was cancelled.
	ErrCancelled = errors.New("request is cancelled")
	// ErrDraining is the cause when the grace after a drain is over.
	ErrDraining = errors.New("service is draining")
)

// Handled is returned by a handler that is done with its message when "done" is
// not the word for it. The message is acknowledged.
type Handled struct {
	Outcome string // for logs and metrics; one of few words
	Reason  string // for logs, never a tool's own words; may be empty
}

func (h *Handled) Error() string { return h.Outcome + ": " + h.Reason }

// crash is the error of a handler that panicked.
type crash struct {
	value any
	stack []byte
}

func (c *crash) Error() string { return fmt.Sprintf("handler panicked: %v", c.value) }

// Action is what the server is told about a message.
type Action int

// The actions.
const (
	Ack   Action = iota // done with: never again
	Nak                 // handed back: at once to whoever asks
	Term                // given up: never again, with an advisory
	Leave               // nothing is said: again after AckWait
)

// Decision is an action and the word for it in logs and metrics.
type Decision struct {
	Action  Action
	Outcome string
}

// decide maps how a handler ended, and why its context did, to what the server is told.
func decide(cause, err error) Decision {
	var crashed *crash
	var handled *Handled
	switch {
	case err == nil:
		return Decision{Ack, "done"}
	case errors.As(err, &handled):
		return Decision{Ack, handled.Outcome}
	case errors.Is(err, ErrStale): // a later attempt or epoch owns the row, and what it needs is published
		return Decision{Ack, "superseded"}
	case errors.Is(err, ErrPoison): // never decodes; the failure is committed or published already
		return Decision{Term, "poison"}
	case errors.As(err, &crashed): // as if the process had died: the row counts it when the message comes back
		return Decision{Leave, "crashed"}
	case errors.Is(cause, ErrCancelled): // not Term, whose advisory is a dead letter
		return Decision{Ack, "cancelled"}
	default: // draining, or an infrastructure failure that outlasted the retries made under InProgress
		return Decision{Nak, "handed_back"}
	}
}
