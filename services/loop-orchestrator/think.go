package looporchestrator

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"go.uber.org/zap"
	"google.golang.org/protobuf/types/known/timestamppb"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/process/failpoint"
	"windlass.dev/windlass/pkg/responses/relay"
	"windlass.dev/windlass/pkg/store"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/compaction"
	"windlass.dev/windlass/services/internal/counting"
	"windlass.dev/windlass/services/internal/toolset"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/internal/worker"
	"windlass.dev/windlass/services/loop-orchestrator/internal/dialect"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/plan"
)

// errDeadline is the cause of a call that ended because the whole request's time was over.
var errDeadline = errors.New("the request's deadline passed")

// think makes the model call of a loaded turn and says what is to be committed. A *model.CallError is the model's failure; the
// other errors are causes of ctx.
func (o *orchestrator) think(ctx context.Context, c store.Chain) (store.TurnCommit, error) {
	var none store.TurnCommit
	if endpoint, ok := relay.Known(c.Endpoint); ok {
		return o.oneCall(ctx, c, endpoint)
	}
	switch c.Endpoint {
	case compaction.Endpoint:
		return o.compact(ctx, c)
	case counting.Endpoint:
		return o.count(ctx, c)
	}
	request, served, err := o.asked(c)
	if err != nil {
		return none, err
	}
	tools, err := toolset.Resolve(request, o.Registry)
	if err != nil {
		return none, &model.CallError{Code: "invalid_prompt", Message: err.Error()}
	}
	earlier, turns, err := o.history(ctx, c)
	if err != nil {
		return none, err
	}
	state := plan.State{
		ID: c.ID, Turn: c.Turn, Request: request, Earlier: earlier, Turns: turns, Tools: tools, Limits: o.Registry.Limits(),
		Origin: served.Upstream.Origin(),
	}
	call := model.Call{
		Model: served.Upstream.Model, Request: request, Ancestors: earlier, Turns: turns,
		Tools: tools.Offers, Choice: state.Choice(), MaxTokens: state.Left(), Stream: c.Streamed,
		NoSeal: served.Upstream.NoEncryptedReasoning, Origin: served.Upstream.Origin(), Settings: served.Upstream.Effective(),
	}
	opened, err := o.open(c.Tenant, call)
	if err != nil {
		return none, err
	}
	if t := (turnCall{c, served, state, call, opened}); t.shortens() {
		return o.shorten(ctx, t)
	}
	api := dialect.Named(served.Upstream.Dialect)
	body, err := encode(api, opened)
	if err != nil {
		return none, err
	}
	draft := plan.Begin(state)
	told := o.tell(ctx, c, state, draft)
	defer told.close()
	callCtx, cancel := inTime(ctx, c, served) // storing what was heard may take longer than the call
	defer cancel()
	answer, err := o.upstream.Complete(callCtx, served.Upstream, api, body, headersOf(c), told.listen())
	if err != nil {
		return none, err
	}
	record, commit, rest := draft.End(answer)
	told.end(ctx, rest)
	if commit.Output, err = record.Encode(); err != nil {
		return none, &model.CallError{Code: "server_error", Message: "The model's answer cannot be stored."}
	}
	return commit, nil
}

// failedCall decides what a failed model call comes to: another attempt, parked in the row, or the end of the request.
func (o *orchestrator) failedCall(ctx context.Context, c store.Chain, f store.Fence, err error, took time.Duration) error {
	var failed *model.CallError
	switch {
	case errors.Is(err, errDeadline):
		return nil // expiry is the sweep's
	case worker.Unknown(ctx, err) && !errors.As(err, &failed):
		return o.failUnknown(ctx, f, err)
	case !errors.As(err, &failed):
		return err // cancelled or draining
	}
	why := transcript.Failure{
		Code: failed.Code, Message: failed.Message, HTTPStatus: failed.HTTPStatus, Attempt: f.Attempt,
		RetryAfterMS: failed.RetryAfter.Milliseconds(), Own: failed.Own,
	}
	o.Bus.Announce(bus.Event(&stepv1.StepEvent{
		Identity: stepIdentity(f), Tenant: c.Tenant, Name: c.Model, EventTime: timestamppb.Now(),
		Event: &stepv1.StepEvent_ModelFailed{ModelFailed: &stepv1.ModelFailed{Failure: &stepv1.Failure{
			Code: why.Code, Retriable: failed.Retriable, HttpStatus: uint32(why.HTTPStatus), RetryAfterMs: uint64(failed.RetryAfter.Milliseconds()),
		}}},
	}))
	attempts := 1
	if model, ok := o.Registry.Model(c.Model); ok {
		attempts = model.Attempts
	}
	wait := pause(failed.RetryAfter, c.Failures)
	if failed.Retriable && c.Failures+1 < attempts && wait < c.Remaining-took {
		return o.retry(ctx, c, f, wait, why)
	}
	o.noteFailedCall(c, why, callFailed, took)
	t := failedTurn(f, why)
	t.Took = took
	return o.commit(ctx, c.Row, t)
}

// retry parks the turn. An upstream that said how long to wait is left alone by the whole lane for as long.
func (o *orchestrator) retry(ctx context.Context, c store.Chain, f store.Fence, wait time.Duration, why transcript.Failure) error {
	err := o.RetryOutage(ctx, func(ctx context.Context) error {
		_, err := o.Store.RetryTurn(ctx, f, wait, why)
		return err
	})
	if errors.Is(err, store.ErrStale) {
		return o.catchUp(ctx, f)
	}
	if err != nil {
		return err
	}
	failpoint.Hit(failpoint.RetryAfterCommit)
	o.noteFailedCall(c, why, callRetried, wait)
	if why.HTTPStatus == http.StatusTooManyRequests && wait > time.Second {
		if err := o.Bus.PauseLane(ctx, c.Lane, time.Now().Add(min(wait, longestPause))); err != nil {
			o.Log.Info("lane not paused", zap.Error(err))
		}
	}
	return nil
}

// longestPause bounds how long one answer can hold a lane up; whoever is parked for longer waits alone.
const longestPause = 30 * time.Second

const (
	backoffBase = 500 * time.Millisecond
	backoffMost = 30 * time.Second
)

// pause is how long to wait before the next attempt, never less than the upstream
// asked for. What is added keeps calls that were refused together from coming
// back together.
func pause(asked time.Duration, failures int) time.Duration {
	if asked > 0 {
		asked += rand.N(min(asked/10, time.Second) + time.Millisecond)
	}
	return max(asked, backoff(failures))
}

// backoff is exponential with full jitter; failures is how many came before.
func backoff(failures int) time.Duration {
	return rand.N(min(backoffBase<<min(failures, 10), backoffMost)) + time.Millisecond
}

func failedTurn(f store.Fence, why transcript.Failure) store.TurnCommit {
	return store.TurnCommit{Fence: f, Failed: true, Error: why.Encode(), Outcome: store.Failed, Reason: why.Code}
}

func outcome(t store.TurnCommit) string {
	if t.Failed {
		return "failed"
	}
	return "done"
}

// turnEvent tells the step stream what was committed.
func turnEvent(row store.Row, t store.TurnCommit) bus.Message {
	e := &stepv1.StepEvent{Identity: stepIdentity(t.Fence), Tenant: row.Tenant, Name: row.Model, EventTime: timestamppb.Now()}
	e.Event = &stepv1.StepEvent_ModelCompleted{ModelCompleted: &stepv1.ModelCompleted{
		ToolCalls: uint32(len(t.Steps)), InputTokens: uint64(t.InputTokens), OutputTokens: uint64(t.OutputTokens),
		TookUs: uint64(t.Took.Microseconds()),
	}}
	if t.Failed {
		e.Event = &stepv1.StepEvent_ModelFailed{ModelFailed: &stepv1.ModelFailed{Failure: &stepv1.Failure{Code: t.Reason}}}
	}
	return bus.Event(e).WithTrace(row.Trace)
}
