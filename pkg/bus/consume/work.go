package consume

import (
	"context"
	"errors"
	"fmt"
	"time"

	"windlass.dev/windlass/pkg/bus/internal/topology"
)

const (
	// maxPullers ask for messages at the same time in one Run; each has a slot
	// in hand.
	maxPullers = 4
	// defaultBatch is the most messages of one batch.
	defaultBatch = 256
	// defaultBatches run at the same time.
	defaultBatches = 2
)

type kind int

const (
	kindTurn kind = iota + 1
	kindTool
	kindFinal
	kindResult
)

func (k kind) String() string {
	return [...]string{"", "turn", "tool", "final", "result"}[k]
}

// Work says which messages a Run takes.
type Work struct {
	kind     kind
	stream   string
	consumer string
}

// TurnWork are the turns of one lane. A cancel hint cancels the handler's
// context, once Confirm says that the request is cancelled.
func TurnWork(lane string) Work {
	return Work{kindTurn, topology.StreamTurn, topology.LaneConsumer(lane)}
}

// ToolWork are the tool calls of one pool. A cancel hint cancels the handler's
// context, once Confirm says that the request is cancelled. For ten minutes
// the calls of that request are dropped without a call of the handler, or with
// Confirm are marked as Hinted.
func ToolWork(pool string) Work {
	return Work{kindTool, topology.StreamTool, topology.PoolConsumer(pool)}
}

// FinalWork are the requests to settle. Cancel hints don't matter: cancelled
// requests are settled too.
func FinalWork() Work { return Work{kindFinal, topology.StreamFinal, topology.ConsumerFinal} }

// ResultWork are the results of tools. Cancel hints don't matter: the store
// refuses what comes too late.
func ResultWork() Work { return Work{kindResult, topology.StreamStep, topology.ConsumerResults} }

// Handler handles one message. It does its own retries of what fails for want
// of infrastructure; its lease is renewed until it returns. The context ends
// with a cause: ErrCancelled or ErrDraining.
type Handler func(ctx context.Context, d Delivery) error

// BatchHandler handles several messages. It returns nil if all are done with,
// or else one error for each, in order.
type BatchHandler func(ctx context.Context, ds []Delivery) []error

// Config says what Run or RunBatches does.
type Config struct {
	Work Work
	// Slots is the number of messages (Run) or batches (RunBatches; 0 means 2)
	// handled at the same time.
	Slots int
	// Pullers ask the server at the same time, each for one message; 0 means
	// min(Slots, 8).
	Pullers int
	// Grace is how long handlers may go on after the drain began.
	Grace time.Duration
	// Handle is for Run.
	Handle Handler
	// Confirm, if set, checks a cancel hint, which anybody on the bus can send:
	// it reports whether the delivery's request is cancelled. Its context ends
	// with the delivery's handler.
	Confirm func(ctx context.Context, d Delivery) bool
	// Away, if set, reports whether the worker cannot reach what its handler
	// needs. While it does, Run takes no message: another worker may do the
	// work. Messages in hand stay leased.
	Away func(ctx context.Context) bool
	// HandleBatch is for RunBatches.
	HandleBatch BatchHandler
	// Max is the most messages of a batch; 0 means 256.
	Max int
}

func (c *Config) check() error {
	if c.Work.kind == 0 {
		return errors.New("no work is named")
	}
	if c.Slots < 1 {
		return fmt.Errorf("slots are %d, want at least 1", c.Slots)
	}
	if c.Pullers < 0 || c.Grace < 0 || c.Max < 0 {
		return fmt.Errorf("pullers are %d, grace is %v, max is %d: want none negative", c.Pullers, c.Grace, c.Max)
	}
	return nil
}
