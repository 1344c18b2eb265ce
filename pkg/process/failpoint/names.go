package failpoint

// Name names one instruction at which a process can be made to die.
type Name string

// The failpoints, in the order a request meets them.
const (
	// AcceptBeforeCommit: the gateway has validated a request, nothing is
	// stored.
	AcceptBeforeCommit Name = "accept_before_commit"
	// AcceptAfterCommit: the request is stored, the client has no answer and
	// the claimer no hint.
	AcceptAfterCommit Name = "accept_after_commit"
	// ClaimAfterCommit: the claimer has committed a claim and published none of
	// its turns.
	ClaimAfterCommit Name = "claim_after_commit"
	// TurnAfterTake: the orchestrator has taken a turn and not called the
	// model.
	TurnAfterTake Name = "turn_after_take"
	// TurnAfterModel: the model has answered, the step is not committed.
	TurnAfterModel Name = "turn_after_model"
	// TurnAfterCommit: the model step is committed, what follows is not
	// published.
	TurnAfterCommit Name = "turn_after_commit"
	// TurnAfterPublish: the model step's followers are published, the turn is
	// not acked.
	TurnAfterPublish Name = "turn_after_publish"
	// RaiseAfterCommit: a redelivered turn's attempt is raised, the turn is not
	// gone on with.
	RaiseAfterCommit Name = "raise_after_commit"
	// ToolBeforeCall: the runner has taken a tool command and not called the
	// tool.
	ToolBeforeCall Name = "tool_before_call"
	// ToolAfterCall: the tool has answered, its result is not published.
	ToolAfterCall Name = "tool_after_call"
	// ToolAfterPublish: the tool's result is published, the command is not
	// acked.
	ToolAfterPublish Name = "tool_after_publish"
	// ResultsAfterCommit: a group of results is committed, the turns it opened
	// are not published.
	ResultsAfterCommit Name = "results_after_commit"
	// ResultsAfterPublish: the opened turns are published, the results are not
	// acked.
	ResultsAfterPublish Name = "results_after_publish"
	// FinalBeforeCommit: the finalizer has assembled the answer, nothing is
	// settled.
	FinalBeforeCommit Name = "final_before_commit"
	// FinalAfterCommit: the row is settled, its after-work is not begun.
	FinalAfterCommit Name = "final_after_commit"
	// FinalAfterPublish: the terminal frame and hooks are published, the final
	// is not acked.
	FinalAfterPublish Name = "final_after_publish"
	// FinalAfterLast: a streamed request is settled and its last frame written,
	// its events are not archived.
	FinalAfterLast Name = "final_after_last"
	// FinalAfterArchive: the events are archived, the live stream is not
	// purged.
	FinalAfterArchive Name = "final_after_archive"
	// CancelAfterCommit: a cancel is committed, no hint is sent and no command
	// purged.
	CancelAfterCommit Name = "cancel_after_commit"
	// SweepAfterPublish: the sweeper has published what is due and not moved
	// the rows' next check.
	SweepAfterPublish Name = "sweep_after_publish"
	// RetryAfterCommit: a failed attempt is committed as the next one, its
	// command is not acked.
	RetryAfterCommit Name = "retry_after_commit"
)

// All returns every failpoint, in the order a request meets them. The crash
// tests iterate it, so a name that is missing here is a name never tested.
func All() []Name {
	return []Name{
		AcceptBeforeCommit, AcceptAfterCommit,
		ClaimAfterCommit,
		TurnAfterTake, TurnAfterModel, TurnAfterCommit, TurnAfterPublish, RaiseAfterCommit,
		ToolBeforeCall, ToolAfterCall, ToolAfterPublish,
		ResultsAfterCommit, ResultsAfterPublish,
		FinalBeforeCommit, FinalAfterCommit, FinalAfterPublish, FinalAfterLast, FinalAfterArchive,
		CancelAfterCommit, SweepAfterPublish, RetryAfterCommit,
	}
}
