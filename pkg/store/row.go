package store

import "windlass.dev/windlass/pkg/run"

// Names of package run, for users that are not converted yet.
type (
	Status     = run.Status
	Stage      = run.Stage
	Row        = run.Row
	Step       = run.Step
	StepState  = run.StepState
	Next       = run.Next
	Fence      = run.Fence
	Chain      = run.Chain
	NewStep    = run.NewStep
	TurnCommit = run.TurnCommit
	TurnKey    = run.TurnKey
)

// Names of package run, for users that are not converted yet.
const (
	Responses = run.Responses

	Queued     = run.Queued
	InProgress = run.InProgress
	Completed  = run.Completed
	Incomplete = run.Incomplete
	Failed     = run.Failed
	Cancelled  = run.Cancelled
	Expired    = run.Expired

	StageModel  = run.StageModel
	StageTools  = run.StageTools
	StageSettle = run.StageSettle

	StepDispatched = run.StepDispatched
	StepDone       = run.StepDone
	StepFailed     = run.StepFailed

	Nothing   = run.Nothing
	RunTurn   = run.RunTurn
	RunTools  = run.RunTools
	RunFinal  = run.RunFinal
	WaitUntil = run.WaitUntil
)
