package looporchestrator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/store"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

const (
	// answerSlots bounds the questions of tool-runners that are answered at once.
	answerSlots = 8
	// clockSkew between Postgres and NATS is allowed for where their times are
	// compared.
	clockSkew = 10 * time.Minute
	// markSkew is the same for the stream of marks. It is short: a call begun
	// that soon after the stream was made again is taken for uncertain.
	markSkew = 10 * time.Second
	// overlooked is how old a result may become before its commit is not left to
	// the consumer of results any more.
	overlooked = 30 * time.Second
)

// answer decides whether a tool command that was delivered or published before
// is still due: by its row and, while the row waits, by the results that the
// step stream holds. Nothing that a client of the bus can forge makes a call
// due.
func (o *orchestrator) answer(ctx context.Context, q *stepv1.ToolQuestion) (*stepv1.ToolAnswer, error) {
	id := q.GetIdentity()
	f, err := fence(id)
	if err != nil || !o.Publish.Key.Holds(q.GetDispatchToken(), id, q.GetCallId()) {
		return verdict(stepv1.ToolVerdict_TOOL_VERDICT_GONE), nil
	}
	row, err := o.Store.Look(ctx, f.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return verdict(stepv1.ToolVerdict_TOOL_VERDICT_GONE), nil
	case err != nil:
		return nil, err
	case row.Status != store.InProgress || row.Stage != store.StageTools || row.Epoch != f.Epoch || row.Turn != f.Turn:
		return verdict(stepv1.ToolVerdict_TOOL_VERDICT_GONE), nil
	}
	step, open := openStep(row, int(id.GetIndex()))
	switch {
	case !open:
		return verdict(stepv1.ToolVerdict_TOOL_VERDICT_DONE), nil
	case step.Attempt != f.Attempt || step.CallID != q.GetCallId():
		return verdict(stepv1.ToolVerdict_TOOL_VERDICT_GONE), nil
	}
	done, err := o.recorded(ctx, row, step, id)
	if err != nil {
		return nil, err
	}
	if done {
		return verdict(stepv1.ToolVerdict_TOOL_VERDICT_DONE), nil
	}
	if n := int(q.GetDeliveries()) - 1; n > 0 {
		if err := o.Store.CallsLost(ctx, f, step.Index, n); err != nil {
			return nil, err
		}
	}
	uncertain, err := o.uncertain(ctx, step)
	return &stepv1.ToolAnswer{Verdict: stepv1.ToolVerdict_TOOL_VERDICT_DUE, Uncertain: uncertain}, err
}

func verdict(v stepv1.ToolVerdict) *stepv1.ToolAnswer { return &stepv1.ToolAnswer{Verdict: v} }

// openStep is the turn's tool step of an index if it waits for a result.
func openStep(row store.Row, index int) (store.Step, bool) {
	for _, s := range row.Steps {
		if s.Index == index {
			return s, true
		}
	}
	return store.Step{}, false
}

// recorded reports whether the step stream holds the result of an attempt. A
// result that its consumer has overlooked is committed here.
func (o *orchestrator) recorded(ctx context.Context, row store.Row, step store.Step, id *stepv1.StepIdentity) (bool, error) {
	var found *stepv1.StepEvent
	var age time.Duration
	err := o.Bus.ToolResults(ctx, row.Tenant, id.GetRequestId(), step.CreatedAt.Add(-clockSkew),
		func(e *stepv1.StepEvent, stored time.Time) bool {
			hash, token := echoes(e)
			if proto.Equal(e.GetIdentity(), id) && e.GetCallId() == step.CallID && bytes.Equal(hash, step.InputHash) &&
				o.Publish.Key.Holds(token, id, step.CallID) {
				found, age = e, o.now().Sub(stored)
			}
			return found == nil
		})
	if err != nil || found == nil {
		return false, err
	}
	if age < overlooked {
		return true, nil
	}
	// As a redelivery: the request may need a message, too.
	err = o.commitResults(ctx, []bus.Delivery{{Event: found, Delivered: 2}})
	if err != nil && !errors.Is(err, bus.ErrStale) {
		return false, fmt.Errorf("commit an overlooked result: %w", err)
	}
	return true, nil
}

// uncertain reports whether a mark of the call may be lost.
func (o *orchestrator) uncertain(ctx context.Context, step store.Step) (bool, error) {
	if tool, known := o.Registry.Tool(step.Name); known && tool.Effect != registry.AtMostOnce {
		return false, nil
	}
	made, err := o.Bus.MarksSince(ctx)
	if err != nil {
		return false, err
	}
	return made.After(step.CreatedAt.Add(-markSkew)) || o.now().Sub(step.CreatedAt) > bus.StepMaxAge-clockSkew, nil
}

// cancelled confirms a cancel hint by the row.
func (o *orchestrator) cancelled(ctx context.Context, d bus.Delivery) bool {
	f, err := fence(d.Turn.GetIdentity())
	if err != nil {
		return false
	}
	var row store.Row
	err = o.RetryOutage(ctx, func(ctx context.Context) (err error) {
		row, err = o.Store.Look(ctx, f.ID)
		return err
	})
	return errors.Is(err, store.ErrNotFound) || err == nil && row.Status.Terminal()
}
