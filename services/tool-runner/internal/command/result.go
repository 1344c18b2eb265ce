package command

import (
	"cmp"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/tool-runner/internal/httptool"
)

// fault is the failure of a call, as its result reports it.
type fault struct {
	code       string
	message    string // shown to the model
	retriable  bool
	httpStatus int
	retryAfter time.Duration
}

// The faults of calls that were not made.
var (
	unknownTool    = fault{code: "unknown_tool", message: "there is no tool of this name"}
	tooLate        = fault{code: "deadline_exceeded", message: "the request's deadline passed before the tool was called"}
	noCredential   = fault{code: "credential_error", message: "the tool's credential could not be read", retriable: true}
	outputTooLarge = fault{code: "bad_output", message: "the tool's output is too large to be passed on"}
	markRefused    = fault{
		code: "mark_refused", retriable: true,
		message: "the tool was not called: it must not be called twice, and the mark of its call could not be stored",
	}
	givenUp        = fault{code: "poison", message: "the tool call was given up: it never came to an end"}
	unknownOutcome = fault{
		code: "unknown_outcome",
		message: "it is not known whether this call took effect: it was begun before, and its answer was lost. " +
			"The tool must not be called twice, so it was not called again.",
	}
)

// failureOf returns the fault of a call that was made. A call that must not be
// made twice is never retriable.
func failureOf(f *httptool.Failure, once bool) fault {
	out := fault{
		code: f.Code, message: f.Message, retriable: f.Retriable && !once, httpStatus: f.HTTPStatus, retryAfter: f.RetryAfter,
	}
	if once && f.Retriable && f.HTTPStatus == 0 {
		out.message += "; it is not known whether the call took effect, and it was not made again"
	}
	return out
}

func (f fault) proto() *stepv1.Failure {
	return &stepv1.Failure{
		Code: f.code, Message: f.message, Retriable: f.retriable,
		HttpStatus: uint32(f.httpStatus), RetryAfterMs: uint64(f.retryAfter.Milliseconds()),
	}
}

// newEvent returns an event about a command, without its content.
func newEvent(c *stepv1.ToolCommand) *stepv1.StepEvent {
	return &stepv1.StepEvent{
		Identity: c.GetIdentity(), Tenant: c.GetTenant(), Name: c.GetTool(), CallId: c.GetCallId(), EventTime: timestamppb.Now(),
	}
}

func failedEvent(c *stepv1.ToolCommand, f fault, took time.Duration) *stepv1.StepEvent {
	e := newEvent(c)
	e.Event = &stepv1.StepEvent_ToolFailed{ToolFailed: &stepv1.ToolFailed{
		Failure: f.proto(), InputHash: c.GetInputHash(), DispatchToken: c.GetDispatchToken(), TookUs: microseconds(took),
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

// microseconds returns at least 1 for a call that was made, so that 0 means that
// no call was made.
func microseconds(took time.Duration) uint64 {
	if took <= 0 {
		return 0
	}
	return cmp.Or(uint64(took.Microseconds()), 1)
}
