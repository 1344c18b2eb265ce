package run

import "time"

// TurnCommit is what a finished model call leaves behind.
type TurnCommit struct {
	Fence
	Model        string
	Failed       bool   // the model step failed for good; Error says how
	Output       []byte // the turn's output items
	Error        []byte
	InputTokens  int64
	OutputTokens int64
	Took         time.Duration
	Steps        []NewStep
	// Outcome is what the request ends with once the turn's steps are done; if
	// empty, another turn follows.
	Outcome Status
	Reason  Code
}

// Due counts the steps that tool-runners have to run.
func (t TurnCommit) Due() int {
	n := 0
	for _, s := range t.Steps {
		if s.Due() {
			n++
		}
	}
	return n
}

// Stage is what the row waits for after the commit.
func (t TurnCommit) Stage() Stage {
	switch {
	case t.Due() > 0:
		return StageTools
	case t.Outcome != "":
		return StageSettle
	default:
		return StageModel
	}
}

// After is the row as the commit leaves it, so that the caller can publish what
// is due without reading it again.
func (t TurnCommit) After(before Row) Row {
	r := before
	r.Stage, r.Pending, r.Outcome, r.Reason = t.Stage(), t.Due(), t.Outcome, t.Reason
	r.Attempt, r.Failures, r.Crashes, r.DueIn, r.Steps = 1, 0, 0, 0, nil
	if r.Stage == StageModel {
		r.Turn++
	}
	for _, n := range t.Steps {
		if n.Due() {
			r.Steps = append(r.Steps, Step{
				Turn: t.Turn, Index: n.Index, Kind: StepTool, Name: n.Name, Pool: n.Pool, CallID: n.CallID,
				State: StepDispatched, Attempt: 1, Input: n.Input, InputHash: n.InputHash, Place: n.Place,
			})
		}
	}
	return r
}
