package consume

import (
	"errors"
	"fmt"
)

// Errors that a handler returns, or finds as the cause of its context.
var (
	// ErrStale is returned when a later attempt or epoch owns the row and what
	// it needs is published.
	ErrStale = errors.New("a later attempt owns the step")
	// ErrPoison is returned when a message cannot be handled, ever, and the
	// failure is committed or published.
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

// action is what the runner tells the server about a message.
type action int

const (
	ack   action = iota // handled: never delivered again
	nak                 // handed back: delivered again at once
	term                // given up: never delivered again, with an advisory
	leave               // no answer: delivered again after AckWait
)

// decision is an action and its word in logs and metrics.
type decision struct {
	action  action
	outcome string
}

// decide maps how a handler ended, and why its context did, to an action.
func decide(cause, err error) decision {
	var crashed *crash
	var handled *Handled
	switch {
	case err == nil:
		return decision{ack, "done"}
	case errors.As(err, &handled):
		return decision{ack, handled.Outcome}
	case errors.Is(err, ErrStale): // a later attempt or epoch owns the row, and what it needs is published
		return decision{ack, "superseded"}
	case errors.Is(err, ErrPoison): // never decodes; the failure is committed or published already
		return decision{term, "poison"}
	case errors.As(err, &crashed): // as if the process had died: the row counts it when the message comes back
		return decision{leave, "crashed"}
	case errors.Is(cause, ErrCancelled): // not Term, whose advisory is a dead letter
		return decision{ack, "cancelled"}
	default: // draining, or an infrastructure failure that outlasted the retries made under InProgress
		return decision{nak, "handed_back"}
	}
}
