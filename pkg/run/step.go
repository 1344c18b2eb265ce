package run

import "time"

// Step is one row of the audit trail.
type Step struct {
	Turn         int
	Index        int
	Kind         string // StepModel or StepTool
	Name         string
	Pool         string
	CallID       string
	State        StepState
	Attempt      int
	Input        []byte // a tool call's arguments
	InputHash    []byte
	Place        int    // of a tool call's item in the response's output; -1 if unknown
	Output       []byte // a model step's output items, or the text of a tool
	Error        []byte // the encoded Failure of the last failed attempt
	InputTokens  int64
	OutputTokens int64
	DueIn        time.Duration
	CreatedAt    time.Time
	Age          time.Duration // since CreatedAt, by the database's clock; only of the steps of a Row
	FinishedAt   *time.Time
	Took         time.Duration
}

// StepState is the state of a step.
type StepState string

// The states of a step.
const (
	StepDispatched StepState = "dispatched"
	StepDone       StepState = "done"
	StepFailed     StepState = "failed"
)

// The kinds of a step.
const (
	StepModel = "model"
	StepTool  = "tool"
)

// NewStep is a tool call that a turn asks for.
type NewStep struct {
	Index     int
	Name      string
	Pool      string
	CallID    string
	Input     []byte
	InputHash []byte
	Place     int // of its item in the response's output
	// Output and Error are set if the call is not made at all: the model sees
	// Output, the audit trail Error.
	Output []byte
	Error  []byte
}

// Due reports whether a tool-runner has to run the step.
func (n NewStep) Due() bool { return n.Error == nil }
