package command

import (
	"cmp"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/run"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/tool-runner/internal/httptool"
)

// The failures of calls that were not made.
var (
	unknownTool = run.Failure{Code: run.CodeUnknownTool, Message: "there is no tool of this name"}
	tooLate     = run.Failure{
		Code: run.CodeDeadlineExceeded, Message: "the request's deadline passed before the tool was called",
	}
	noCredential = run.Failure{
		Code: run.CodeCredential, Message: "the tool's credential could not be read", Retriable: true,
	}
	outputTooLarge = run.Failure{Code: run.CodeBadOutput, Message: "the tool's output is too large to be passed on"}
	markRefused    = run.Failure{
		Code: run.CodeMarkRefused, Retriable: true,
		Message: "the tool was not called: it must not be called twice, and the mark of its call could not be stored",
	}
	givenUp        = run.Failure{Code: run.CodePoison, Message: "the tool call was given up: it never came to an end"}
	unknownOutcome = run.Failure{
		Code: run.CodeUnknownOutcome,
		Message: "it is not known whether this call took effect: it was begun before, and its answer was lost. " +
			"The tool must not be called twice, so it was not called again.",
	}
)

// finalFailure returns the failure of a call that must not be made twice. It is
// never retriable.
func finalFailure(f run.Failure) run.Failure {
	if f.Retriable && f.HTTPStatus == 0 {
		f.Message += "; it is not known whether the call took effect, and it was not made again"
	}
	f.Retriable = false
	return f
}

// newEvent returns an event about a command, without its content.
func newEvent(c *stepv1.ToolCommand) *stepv1.StepEvent {
	return &stepv1.StepEvent{
		Identity: c.GetIdentity(), Tenant: c.GetTenant(), Name: c.GetTool(), CallId: c.GetCallId(),
		EventTime: timestamppb.Now(),
	}
}

func failedEvent(c *stepv1.ToolCommand, f run.Failure, took time.Duration) *stepv1.StepEvent {
	e := newEvent(c)
	e.Event = &stepv1.StepEvent_ToolFailed{ToolFailed: &stepv1.ToolFailed{
		Failure: bus.EncodeFailure(f), InputHash: c.GetInputHash(), DispatchToken: c.GetDispatchToken(),
		TookUs: microseconds(took),
	}}
	return e
}

func completedEvent(c *stepv1.ToolCommand, o httptool.Output, took time.Duration) *stepv1.StepEvent {
	e := newEvent(c)
	e.Event = &stepv1.StepEvent_ToolCompleted{ToolCompleted: &stepv1.ToolCompleted{
		Output: o.Text, InputHash: c.GetInputHash(), DispatchToken: c.GetDispatchToken(),
		Size: uint64(o.Size), Truncated: o.Truncated, TookUs: microseconds(took),
	}}
	return e
}

// microseconds returns at least 1 for a call that was made, so that 0 means
// that no call was made.
func microseconds(took time.Duration) uint64 {
	if took <= 0 {
		return 0
	}
	return cmp.Or(uint64(took.Microseconds()), 1)
}
