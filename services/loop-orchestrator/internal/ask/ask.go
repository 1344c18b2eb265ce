// Package ask answers the questions of tool-runners about commands that were
// delivered or published before: is the call still due?
//
// It promises that a call is due only while its row waits for it and the step
// stream holds no result of it, and that nothing a client of the bus can forge
// makes a call due (TestAnswersFollowTheRowAndTheResults in loop-orchestrator).
package ask

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/worker"
	"windlass.dev/windlass/services/loop-orchestrator/internal/results"
)

const (
	// markMargin is how much older than a call the stream of marks must be. A
	// call that began so soon after the stream was created again counts as
	// uncertain.
	markMargin = 10 * time.Second
	// goneMargin is how long before its end of life a mark counts as gone.
	goneMargin = 10 * time.Minute
	// overlooked is how long a row has not moved when a result that the stream
	// holds is committed here instead of by the consumer of results.
	overlooked = 30 * time.Second
)

// Answerer answers questions. Safe for concurrent use.
type Answerer struct {
	Worker *worker.Worker
	// Commit commits a result that its consumer has overlooked.
	Commit func(context.Context, []consume.Delivery) error
}

// Answer answers one question, from the row and, while the row waits, from the
// results in the step stream.
func (a *Answerer) Answer(ctx context.Context, q *stepv1.ToolQuestion) (*stepv1.ToolAnswer, error) {
	id := q.GetIdentity()
	f, err := dispatch.Fence(id)
	if err != nil || !a.Worker.Publish.Key.Holds(q.GetDispatchToken(), id, q.GetCallId()) {
		return verdict(stepv1.ToolVerdict_TOOL_VERDICT_GONE), nil
	}
	row, err := a.Worker.Store.Look(ctx, f.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return verdict(stepv1.ToolVerdict_TOOL_VERDICT_GONE), nil
	case err != nil:
		return nil, err
	case row.Status != run.InProgress || row.Stage != run.StageTools || row.Epoch != f.Epoch || row.Turn != f.Turn:
		return verdict(stepv1.ToolVerdict_TOOL_VERDICT_GONE), nil
	}
	step, open := openStep(row, int(id.GetIndex()))
	switch {
	case !open:
		return verdict(stepv1.ToolVerdict_TOOL_VERDICT_DONE), nil
	case step.Attempt != f.Attempt || step.CallID != q.GetCallId():
		return verdict(stepv1.ToolVerdict_TOOL_VERDICT_GONE), nil
	}
	stored, err := a.findResult(ctx, row, step, id)
	if err != nil {
		return nil, err
	}
	if stored {
		return verdict(stepv1.ToolVerdict_TOOL_VERDICT_DONE), nil
	}
	if n := int(q.GetDeliveries()) - 1; n > 0 {
		if err := a.Worker.Store.CallsLost(ctx, f, step.Index, n); err != nil {
			return nil, err
		}
	}
	uncertain, err := a.uncertain(ctx, step)
	return &stepv1.ToolAnswer{
		Verdict: stepv1.ToolVerdict_TOOL_VERDICT_DUE, Uncertain: uncertain, Remaining: durationpb.New(row.Remaining),
	}, err
}

func verdict(v stepv1.ToolVerdict) *stepv1.ToolAnswer { return &stepv1.ToolAnswer{Verdict: v} }

// openStep returns the row's tool step of an index if it waits for a result.
func openStep(row run.Row, index int) (run.Step, bool) {
	for _, s := range row.Steps {
		if s.Index == index {
			return s, true
		}
	}
	return run.Step{}, false
}

// findResult reports whether the step stream holds the result of an attempt. It
// commits a result that its consumer has overlooked.
func (a *Answerer) findResult(ctx context.Context, row run.Row, step run.Step, id *stepv1.StepIdentity) (bool, error) {
	var found *stepv1.StepEvent
	err := a.Worker.Bus.ToolResults(ctx, row.Tenant, id.GetRequestId(), func(e *stepv1.StepEvent) bool {
		hash, token := results.Echo(e)
		if proto.Equal(e.GetIdentity(), id) && e.GetCallId() == step.CallID && bytes.Equal(hash, step.InputHash) &&
			a.Worker.Publish.Key.Holds(token, id, step.CallID) {
			found = e
		}
		return found == nil
	})
	if err != nil || found == nil {
		return false, err
	}
	if row.Age < overlooked {
		return true, nil
	}
	// As a redelivery, because the request may need a message, too.
	err = a.Commit(ctx, []consume.Delivery{{Event: found, Delivered: 2}})
	if err != nil && !errors.Is(err, consume.ErrStale) {
		return false, fmt.Errorf("commit an overlooked result: %w", err)
	}
	return true, nil
}

// uncertain reports whether a mark of the call may be lost.
func (a *Answerer) uncertain(ctx context.Context, step run.Step) (bool, error) {
	if tool, known := a.Worker.Registry.Tool(step.Name); known && tool.Effect != registry.AtMostOnce {
		return false, nil
	}
	age, err := a.Worker.Bus.MarksAge(ctx)
	if err != nil {
		return false, err
	}
	return age < step.Age+markMargin || step.Age > bus.StepMaxAge-goneMargin, nil
}
