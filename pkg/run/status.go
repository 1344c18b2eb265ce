package run

// Status is the state of a request.
type Status string

// The statuses. The last five are terminal. Clients do not know Expired: they
// see a failure.
const (
	Queued     Status = "queued"
	InProgress Status = "in_progress"
	Completed  Status = "completed"
	Incomplete Status = "incomplete"
	Failed     Status = "failed"
	Cancelled  Status = "cancelled"
	Expired    Status = "expired"
)

// Terminal reports whether the status is one that a request never leaves.
func (s Status) Terminal() bool { return s != Queued && s != InProgress }

// Stage is what a row in progress waits for.
type Stage string

// The stages: the turn's model call, its tool calls, the finalizer.
const (
	StageModel  Stage = "model"
	StageTools  Stage = "tools"
	StageSettle Stage = "settle"
)
