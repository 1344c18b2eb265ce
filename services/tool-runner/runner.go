package toolrunner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	"google.golang.org/protobuf/types/known/timestamppb"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/process/failpoint"
	"windlass.dev/windlass/pkg/registry"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/tool-runner/internal/httptool"
)

// maxDeliveries is after how many a command is given up: the runners before died of it, or lost it five times.
const maxDeliveries = 5

// outcome is what became of a command, as windlass_steps_total counts it.
type outcome string

const (
	done       outcome = "done"        // the tool answered
	failed     outcome = "failed"      // the tool failed, or was not called, and the result says so
	repeated   outcome = "repeated"    // there was a result already
	superseded outcome = "superseded"  // nothing waits for the call any more
	poison     outcome = "poison"      // given up
	cancelled  outcome = "cancelled"   // the request was
	handedBack outcome = "handed_back" // another runner has to
)

// runner handles the commands of all pools. Safe for concurrent use.
type runner struct {
	bus     *bus.Bus
	tools   *registry.Registry
	client  *httptool.Client
	flights *flights
	log     *zap.Logger
	metrics *process.Metrics
}

func (r *runner) handle(ctx context.Context, d bus.Delivery) error {
	began := time.Now()
	what, err := r.serve(ctx, d)
	if what == "" {
		what = handedBack
		if errors.Is(context.Cause(ctx), bus.ErrCancelled) {
			what, err = cancelled, bus.ErrCancelled
		}
	}
	r.metrics.Step("tool", string(what), time.Since(began))
	return err
}

// serve makes the command's call if it is due, and publishes the result. The
// outcome is empty if an error ended it before.
func (r *runner) serve(ctx context.Context, d bus.Delivery) (outcome, error) {
	again, leave, err := r.flights.enter(ctx, d.Subject)
	if err != nil {
		return "", err
	}
	defer leave()
	answer := &stepv1.ToolAnswer{Verdict: stepv1.ToolVerdict_TOOL_VERDICT_DUE}
	if again || d.Tool.GetRepeat() || d.Delivered > 1 || d.Hinted {
		if answer, err = r.ask(ctx, d); err != nil {
			return "", err
		}
	}
	switch {
	case answer.GetVerdict() == stepv1.ToolVerdict_TOOL_VERDICT_DONE:
		return repeated, &bus.Handled{Outcome: string(repeated), Reason: "the call has a result"}
	case answer.GetVerdict() == stepv1.ToolVerdict_TOOL_VERDICT_GONE:
		return superseded, bus.ErrStale
	case d.Delivered > maxDeliveries:
		if err := r.giveUp(ctx, d); err != nil {
			return "", err
		}
		return poison, bus.ErrPoison
	}
	result, err := r.result(ctx, d, answer.GetUncertain())
	if err != nil {
		return "", err
	}
	if err := r.publish(ctx, d, result); err != nil {
		return "", err
	}
	failpoint.Hit(failpoint.ToolAfterPublish)
	if f := result.GetToolFailed(); f != nil {
		return failed, &bus.Handled{Outcome: string(failed), Reason: f.GetFailure().GetCode()}
	}
	return done, nil
}

// result makes the call if it may be made. An error means that there was no
// call, or that ctx broke it off. uncertain: an earlier delivery may have begun
// the call without a mark that is still there.
func (r *runner) result(ctx context.Context, d bus.Delivery, uncertain bool) (*stepv1.StepEvent, error) {
	tool, ok := r.tools.Tool(d.Tool.GetTool())
	if !ok {
		return failure(d.Tool, unknownTool, 0), nil
	}
	now := time.Now()
	end := now.Add(tool.Timeout)
	if t := d.Tool.GetDeadlineTime(); t != nil && t.AsTime().Before(end) {
		end = t.AsTime()
	}
	if !end.After(now) {
		return failure(d.Tool, tooLate, 0), nil
	}
	secret, err := tool.Credential.Resolve()
	if err != nil {
		r.log.Error("credential not resolved", zap.String("subject", d.Subject), zap.Error(err))
		return failure(d.Tool, noCredential, 0), nil
	}
	if tool.Effect == registry.AtMostOnce {
		// A repeat is published where a stream may have lost messages, and so
		// may a mark: JetStream acknowledges before it syncs.
		if uncertain || d.Tool.GetRepeat() {
			return failure(d.Tool, unknownOutcome, 0), nil
		}
		first, err := r.mark(ctx, d)
		switch {
		case errors.Is(err, bus.ErrFull):
			return failure(d.Tool, markRefused, 0), nil
		case err != nil:
			return nil, err
		case !first:
			return failure(d.Tool, unknownOutcome, 0), nil
		}
	}
	return r.call(ctx, d, tool, secret, end)
}

// mark stores the mark of an at_most_once call, and reports whether this
// delivery is the one that may make the call.
func (r *runner) mark(ctx context.Context, d bus.Delivery) (first bool, err error) {
	marker := event(d.Tool)
	marker.Event = &stepv1.StepEvent_ToolStarted{ToolStarted: &stepv1.ToolStarted{}}
	err = retry(ctx, func(ctx context.Context) (err error) {
		first, err = r.bus.Begin(ctx, d.Tool.GetPool(), marker, d.Trace)
		return err
	})
	return first, err
}

func (r *runner) call(
	ctx context.Context, d bus.Delivery, tool registry.Tool, secret string, end time.Time,
) (*stepv1.StepEvent, error) {
	bounded, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	once := tool.Effect == registry.AtMostOnce
	failpoint.Hit(failpoint.ToolBeforeCall)
	began := time.Now()
	output, fault := r.client.Do(bounded, httptool.Call{
		URL: tool.URL, Method: tool.Method, Arguments: d.Tool.GetArguments(), Bearer: secret,
		AllowPrivate: tool.AllowPrivate, Once: once, MaxOutputBytes: tool.MaxOutputBytes,
		IdempotencyKey: d.Tool.GetIdempotencyKey(), RequestID: "resp_" + d.Tool.GetIdentity().GetRequestId(),
		CallID: d.Tool.GetCallId(), Attempt: d.Tool.GetIdentity().GetAttempt(), Traceparent: d.Trace,
	})
	took := time.Since(began)
	failpoint.Hit(failpoint.ToolAfterCall)
	if fault == nil {
		return completed(d.Tool, output, took), nil
	}
	if fault.HTTPStatus == 0 && ctx.Err() != nil { // not the tool's fault
		return nil, fmt.Errorf("call tool: %w", context.Cause(ctx))
	}
	return failure(d.Tool, reported(fault, once), took), nil
}

// giveUp publishes that the command is given up.
func (r *runner) giveUp(ctx context.Context, d bus.Delivery) error {
	if err := r.publish(ctx, d, failure(d.Tool, givenUp, 0)); err != nil {
		return err
	}
	letter := bus.Dead(&stepv1.DeadLetter{
		Identity: d.Tool.GetIdentity(), Tenant: d.Tool.GetTenant(), Subject: d.Subject,
		Failure: givenUp.proto(), EventTime: timestamppb.Now(),
	})
	return retry(ctx, func(ctx context.Context) error {
		_, err := r.bus.Publish(ctx, letter)
		return err
	})
}
