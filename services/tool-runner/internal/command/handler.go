// Package command handles tool commands: it decides whether a call is due,
// makes the call, and publishes the result. See package toolrunner for its
// promises.
package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	"google.golang.org/protobuf/types/known/timestamppb"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/bus/message"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/process/failpoint"
	"windlass.dev/windlass/pkg/process/shortage"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/run"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/tool-runner/internal/httptool"
	"windlass.dev/windlass/services/tool-runner/internal/inflight"
)

// maxDeliveries is the number of deliveries after which a command is given up
// by a program without isolated processes: each runner before has died in its
// call or lost it.
const maxDeliveries = 5

// outcome is how the handling of a command ended, as windlass_steps_total
// counts it.
type outcome string

const (
	done       outcome = "done"        // the tool answered
	failed     outcome = "failed"      // the tool failed or was not called, and the result says so
	repeated   outcome = "repeated"    // the call has a result
	superseded outcome = "superseded"  // nothing waits for the call any more
	poison     outcome = "poison"      // given up
	cancelled  outcome = "cancelled"   // the request was cancelled
	handedBack outcome = "handed_back" // another runner has to make the call
)

// Handler handles the commands of all pools. It is safe for concurrent use.
type Handler struct {
	Bus     *bus.Bus
	Tools   *registry.Registry
	Client  *httptool.Client
	Log     *zap.Logger
	Metrics *process.Metrics
	// Shortage counts what the process lacks; nil counts nothing.
	Shortage *shortage.Watch
	// Isolate has CallIsolated do a task in a process of its own; see
	// isolate.Runner.Run for its errors. nil: there is no such process.
	Isolate func(ctx context.Context, task []byte) ([]byte, error)

	inflight inflight.Commands
}

// Handle handles one delivery of a command.
func (h *Handler) Handle(ctx context.Context, d consume.Delivery) error {
	start := time.Now()
	result, err := h.handleOnce(ctx, d)
	if result == "" {
		result = handedBack
		if errors.Is(context.Cause(ctx), consume.ErrCancelled) {
			result, err = cancelled, consume.ErrCancelled
		}
	}
	h.Metrics.Step("tool", string(result), time.Since(start))
	return err
}

// handleOnce makes the command's call if it is due, and publishes the result.
// The outcome is empty if an error ended it early.
func (h *Handler) handleOnce(ctx context.Context, d consume.Delivery) (outcome, error) {
	waited, leave, err := h.inflight.Enter(ctx, d.Subject)
	if err != nil {
		return "", err
	}
	defer leave()
	checked := time.Now()
	again := waited || d.Tool.GetRepeat() || d.Delivered > 1 // another runner may have made the call
	pauses := crashPolicy.Pauses()
	for crashes := 0; ; crashes++ {
		answer := &stepv1.ToolAnswer{Verdict: stepv1.ToolVerdict_TOOL_VERDICT_DUE}
		if again || d.Hinted || mayBeStale(d) {
			if answer, checked, err = h.askIfDue(ctx, d); err != nil {
				return "", err
			}
			answer.Uncertain = answer.GetUncertain() && again
		}
		switch {
		case answer.GetVerdict() == stepv1.ToolVerdict_TOOL_VERDICT_DONE:
			return repeated, &consume.Handled{Outcome: string(repeated), Reason: "the call has a result"}
		case answer.GetVerdict() == stepv1.ToolVerdict_TOOL_VERDICT_GONE:
			return superseded, consume.ErrStale
		case h.isPoison(d, crashes):
			if err := h.giveUp(ctx, d); err != nil {
				return "", err
			}
			return poison, consume.ErrPoison
		}
		result, err := h.makeResult(ctx, d, answer, checked)
		switch {
		case h.crashed(ctx, d, pauses, err):
			d.Delivered++ // the call is lost like that of a runner that died
			again = true
		case errors.Is(err, consume.ErrStale):
			return superseded, err
		case err != nil:
			return "", err
		default:
			return h.finish(ctx, d, result)
		}
	}
}

// finish publishes the result of a command.
func (h *Handler) finish(ctx context.Context, d consume.Delivery, result *stepv1.StepEvent) (outcome, error) {
	if err := h.publishResult(ctx, d, result); err != nil {
		return "", err
	}
	failpoint.Hit(failpoint.ToolAfterPublish)
	if f := result.GetToolFailed(); f != nil {
		return failed, &consume.Handled{Outcome: string(failed), Reason: f.GetFailure().GetCode()}
	}
	return done, nil
}

// makeResult makes the call if it may be made, and returns its result. An error
// means that no call was made, or that ctx ended it. checked is when the
// command was known to be due.
func (h *Handler) makeResult(
	ctx context.Context, d consume.Delivery, answer *stepv1.ToolAnswer, checked time.Time,
) (*stepv1.StepEvent, error) {
	tool, ok := h.Tools.Tool(d.Tool.GetTool())
	if !ok {
		return failedEvent(d.Tool, unknownTool, 0), nil
	}
	limit := remaining(d.Tool, answer)
	if limit <= 0 {
		return failedEvent(d.Tool, tooLate, 0), nil
	}
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	secret, err := h.resolve(bounded, tool)
	switch {
	case errors.Is(err, registry.ErrNoSecret):
		h.Log.Error("credential not resolved", zap.String("subject", d.Subject), zap.Error(err))
		return failedEvent(d.Tool, noCredential, 0), nil
	case ctx.Err() == nil && err != nil:
		return failedEvent(d.Tool, tooLate, 0), nil
	case err != nil:
		return nil, err
	}
	if tool.Effect == registry.AtMostOnce {
		// A repeat is published if a stream may have lost messages. A mark may
		// be lost then, too: JetStream acknowledges before it syncs.
		if answer.GetUncertain() || d.Tool.GetRepeat() {
			return failedEvent(d.Tool, unknownOutcome, 0), nil
		}
		first, err := h.storeMark(ctx, d)
		switch {
		case errors.Is(err, bus.ErrFull):
			return failedEvent(d.Tool, markRefused, 0), nil
		case err != nil:
			return nil, err
		case !first:
			return failedEvent(d.Tool, unknownOutcome, 0), nil
		}
	}
	if err := h.checkAgain(ctx, d, checked); err != nil {
		return nil, err
	}
	if h.isSuspect(d) {
		return h.callAlone(ctx, d, limit)
	}
	return h.callInPlace(ctx, d, tool, secret, limit)
}

// storeMark stores the mark of an at_most_once call. It reports whether this
// delivery is the one that may make the call.
func (h *Handler) storeMark(ctx context.Context, d consume.Delivery) (first bool, err error) {
	mark := newEvent(d.Tool)
	mark.Event = &stepv1.StepEvent_ToolStarted{ToolStarted: &stepv1.ToolStarted{
		DispatchToken: d.Tool.GetDispatchToken(),
	}}
	err = retryOutage(ctx, func(ctx context.Context) (err error) {
		first, err = h.Bus.Begin(ctx, d.Tool.GetPool(), mark, d.Trace)
		return err
	})
	return first, err
}

// resolve reads a tool's secret. It waits for a file that cannot be read.
func (h *Handler) resolve(ctx context.Context, tool registry.Tool) (secret string, err error) {
	err = h.Shortage.Retry(ctx, func(context.Context) (err error) {
		secret, err = tool.Credential.Resolve()
		if err != nil && tool.Credential.File != "" {
			return shortage.Secret(err)
		}
		return err
	})
	return secret, err
}

// callTool makes the call. limit is the time that the request has; the wait for
// a connection that the process has no means for is not the tool's time.
func (h *Handler) callTool(
	ctx context.Context, d consume.Delivery, tool registry.Tool, secret string, limit time.Duration,
) (*stepv1.StepEvent, error) {
	request, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	once := tool.Effect == registry.AtMostOnce
	failpoint.HitBy(failpoint.ToolBeforeCall, d.Tool.GetArguments())
	var output httptool.Output
	var failure *run.Failure
	var began time.Time
	lack := h.Shortage.Retry(request, func(ctx context.Context) (err error) {
		ctx, cancel := context.WithTimeout(ctx, tool.Timeout)
		defer cancel()
		began = time.Now()
		output, failure, err = h.Client.Try(ctx, httptool.Call{
			URL: tool.URL, Method: tool.Method, Arguments: d.Tool.GetArguments(), Bearer: secret,
			AllowPrivate: tool.AllowPrivate, Once: once, MaxOutputBytes: tool.MaxOutputBytes,
			IdempotencyKey: d.Tool.GetIdempotencyKey(), RequestID: publicID(d.Tool),
			CallID: d.Tool.GetCallId(), Attempt: d.Tool.GetIdentity().GetAttempt(), Traceparent: d.Trace,
		})
		return err
	})
	switch {
	case lack != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("call tool: %w", context.Cause(ctx))
	case lack != nil:
		return failedEvent(d.Tool, tooLate, 0), nil
	}
	took := time.Since(began)
	failpoint.Hit(failpoint.ToolAfterCall)
	if failure == nil {
		return completedEvent(d.Tool, output, took), nil
	}
	if failure.HTTPStatus == 0 && ctx.Err() != nil { // not the tool's fault
		return nil, fmt.Errorf("call tool: %w", context.Cause(ctx))
	}
	if once {
		return failedEvent(d.Tool, finalFailure(*failure), took), nil
	}
	return failedEvent(d.Tool, *failure, took), nil
}

// publicID returns the request id as clients know it.
func publicID(c *stepv1.ToolCommand) string {
	return string(run.ResponseID) + c.GetIdentity().GetRequestId()
}

// giveUp publishes that the command is given up.
func (h *Handler) giveUp(ctx context.Context, d consume.Delivery) error {
	if err := h.publishResult(ctx, d, failedEvent(d.Tool, givenUp, 0)); err != nil {
		return err
	}
	letter := message.Dead(&stepv1.DeadLetter{
		Identity: d.Tool.GetIdentity(), Tenant: d.Tool.GetTenant(), Subject: d.Subject,
		Failure: bus.EncodeFailure(givenUp), EventTime: timestamppb.Now(),
	})
	return retryOutage(ctx, func(ctx context.Context) error {
		_, err := h.Bus.Publish(ctx, letter)
		return err
	})
}
