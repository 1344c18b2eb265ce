package store

import (
	"time"

	"github.com/google/uuid"
)

// Status is where a request stands.
type Status string

// The statuses. The last five are terminal.
const (
	Queued     Status = "queued"
	InProgress Status = "in_progress"
	Completed  Status = "completed"
	Incomplete Status = "incomplete"
	Failed     Status = "failed"
	Cancelled  Status = "cancelled"
	Expired    Status = "expired"
)

// Terminal tells whether the status is one a request never leaves.
func (s Status) Terminal() bool { return s != Queued && s != InProgress }

// Stage is what a row in progress waits for.
type Stage string

// The stages: the turn's model call, its tool calls, the finalizer.
const (
	StageModel  Stage = "model"
	StageTools  Stage = "tools"
	StageSettle Stage = "settle"
)

// Row is what a request's row says of what is due.
type Row struct {
	ID        uuid.UUID
	Tenant    string
	Endpoint  string // as in NewRequest
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
	Crashes   int
	Outcome   Status // what the finalizer settles to, once known; else empty
	Reason    string // the code that goes with the outcome
	Trace     string
	CreatedAt time.Time
	Parent    uuid.UUID // the request it continues; uuid.Nil: none
	Streamed  bool      // its events are written to the bus
	// Conversation is what it continues and adds to; uuid.Nil: none. It may have been deleted since.
	Conversation uuid.UUID
	// Unpublished: the turn was parked, and nobody has published its command since.
	Unpublished bool
	DueIn       time.Duration // how long until not_before, by the database's clock; never negative
	Remaining   time.Duration // until the deadline, by the database's clock
	Age         time.Duration // since the last commit that moved it, or since what it parked became due, by the database's clock
	Steps       []Step        // the turn's tool steps that are still dispatched, when Stage is StageTools
}

// Step is one row of the audit trail.
type Step struct {
	Turn         int
	Index        int
	Kind         string // "model" or "tool"
	Name         string
	Pool         string
	CallID       string
	State        string // "dispatched", "done" or "failed"
	Attempt      int
	Input        []byte // a tool call's arguments
	InputHash    []byte
	Place        int    // of a tool call's item in the response's output; -1: not known
	Output       []byte // a model step's output items, or the text of a tool
	Error        []byte // JSON of the last failed attempt
	InputTokens  int64
	OutputTokens int64
	DueIn        time.Duration
	CreatedAt    time.Time
	FinishedAt   *time.Time
	Took         time.Duration
}

// The states of a step.
const (
	StepDispatched = "dispatched"
	StepDone       = "done"
	StepFailed     = "failed"
)

// Next is the kind of message a row needs.
type Next int

// What a row may need.
const (
	Nothing   Next = iota
	RunTurn        // a turn command
	RunTools       // a tool command for each of Steps whose DueIn is 0
	RunFinal       // a final command: settle, or after-work of a terminal row
	WaitUntil      // nothing before DueIn has passed
)

// Next is the one place that says which message a row needs now. Claimer, orchestrator, finalizer, sweeper and
// operators all publish what it says.
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

// Fence names the turn a worker believes it holds.
type Fence struct {
	ID      uuid.UUID
	Epoch   int
	Turn    int
	Attempt int
}

// Holds tells whether the row is still at the fence's turn and attempt, with its model call undone.
func (f Fence) Holds(r Row) bool {
	return r.ID == f.ID && r.Status == InProgress && r.Stage == StageModel &&
		r.Epoch == f.Epoch && r.Turn == f.Turn && r.Attempt == f.Attempt
}
