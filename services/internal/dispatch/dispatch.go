// Package dispatch publishes the messages that a request's row needs. Gateway,
// claimer, orchestrator and finalizer all publish commands through it, so that
// a row means the same message to all of them.
//
// It promises that publishing twice is harmless: a command's subject ends in
// the identity of the row (TestDueFollowsTheRow). It does not promise that a
// message arrives; the sweep publishes again.
package dispatch

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/message"
	"windlass.dev/windlass/pkg/run"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

// Publisher is safe for concurrent use.
type Publisher struct {
	Bus *bus.Bus
	Key Key // signs tool commands; empty in a service that publishes none
}

// Publish publishes what each row needs. repeat marks the commands as published
// before; it is false only right after the commit of the row. accepted counts
// the commands that were not queued or in flight.
func (p Publisher) Publish(ctx context.Context, repeat bool, rows ...run.Row) (accepted int, err error) {
	var msgs []message.Message
	for _, r := range rows {
		msgs = append(msgs, p.due(r, repeat)...)
	}
	if len(msgs) == 0 {
		return 0, nil
	}
	refused, err := p.Bus.Publish(ctx, msgs...)
	if err != nil {
		return 0, fmt.Errorf("publish what %d rows need: %w", len(rows), err)
	}
	return len(msgs) - refused, nil
}

// due returns the messages that the row needs.
func (p Publisher) due(r run.Row, repeat bool) []message.Message {
	switch r.Next() {
	case run.RunTurn:
		return []message.Message{message.Turn(&stepv1.TurnCommand{
			Identity: identity(r, 0, r.Attempt), Lane: r.Lane, Repeat: repeat,
		}).WithTrace(r.Trace)}
	case run.RunFinal:
		return []message.Message{message.Final(&stepv1.FinalCommand{
			RequestId: run.Hex(r.ID), Epoch: uint32(r.Epoch), Repeat: repeat,
		}).WithTrace(r.Trace)}
	case run.RunTools:
		var msgs []message.Message
		for _, s := range r.Steps {
			if s.DueIn > 0 {
				continue
			}
			id := identity(r, s.Index, s.Attempt)
			msgs = append(msgs, message.Tool(&stepv1.ToolCommand{
				Identity: id, Tenant: r.Tenant, Pool: s.Pool, Tool: s.Name, CallId: s.CallID, Arguments: s.Input,
				InputHash: s.InputHash, IdempotencyKey: run.IdempotencyKey(r.ID, s.Turn, s.Index, s.CallID),
				DispatchToken: p.Key.Token(id, s.CallID), Repeat: repeat, Remaining: durationpb.New(r.Remaining),
				// For runners of the previous version, which know no duration.
				DeadlineTime: timestamppb.New(time.Now().Add(r.Remaining)),
			}).WithTrace(r.Trace))
		}
		return msgs
	case run.Nothing, run.WaitUntil:
	}
	return nil
}

func identity(r run.Row, index, attempt int) *stepv1.StepIdentity {
	return &stepv1.StepIdentity{
		RequestId: run.Hex(r.ID),
		Epoch:     uint32(r.Epoch),
		Turn:      uint32(r.Turn),
		Index:     uint32(index),
		Attempt:   uint32(attempt),
	}
}
