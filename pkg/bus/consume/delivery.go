package consume

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"windlass.dev/windlass/pkg/bus/message"
	"windlass.dev/windlass/pkg/bus/subject"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

// Delivery is a message given to a handler. Exactly one of Turn, Tool, Final
// and Event is set.
type Delivery struct {
	Turn  *stepv1.TurnCommand
	Tool  *stepv1.ToolCommand
	Final *stepv1.FinalCommand
	Event *stepv1.StepEvent
	// Delivered counts the deliveries of the message, this one included.
	Delivered int
	// Stored is when the server stored the message, by its clock. Only what a
	// wrong clock does not break may depend on it.
	Stored  time.Time
	Subject string
	// Hinted is set when a cancel hint named the request lately. A handler
	// whose Config has Confirm checks such a delivery itself.
	Hinted bool
	// Trace is the W3C traceparent of the publisher, or empty.
	Trace string
}

// identity of the delivery's step; a final command has only the request and the
// epoch.
func (d *Delivery) identity() *stepv1.StepIdentity {
	switch {
	case d.Turn != nil:
		return d.Turn.GetIdentity()
	case d.Tool != nil:
		return d.Tool.GetIdentity()
	case d.Event != nil:
		return d.Event.GetIdentity()
	default:
		return &stepv1.StepIdentity{RequestId: d.Final.GetRequestId(), Epoch: d.Final.GetEpoch()}
	}
}

var errNoIdentity = errors.New("message names no request")

// decode reads a message as the kind its stream carries.
func (k kind) decode(msg jetstream.Msg) (Delivery, error) {
	d := Delivery{Subject: msg.Subject(), Delivered: 1, Trace: msg.Headers().Get(message.HeaderTrace)}
	if meta, err := msg.Metadata(); err == nil {
		d.Delivered, d.Stored = int(meta.NumDelivered), meta.Timestamp
	}
	var body proto.Message
	switch k {
	case kindTurn:
		d.Turn = new(stepv1.TurnCommand)
		body = d.Turn
	case kindTool:
		d.Tool = new(stepv1.ToolCommand)
		body = d.Tool
	case kindFinal:
		d.Final = new(stepv1.FinalCommand)
		body = d.Final
	default:
		d.Event = new(stepv1.StepEvent)
		body = d.Event
	}
	name := string(body.ProtoReflect().Descriptor().FullName())
	if typ := msg.Headers().Get(message.HeaderType); typ != "" && typ != name {
		return d, fmt.Errorf("decode %s: its type is %q", name, typ)
	}
	if err := proto.Unmarshal(msg.Data(), body); err != nil {
		return d, fmt.Errorf("decode %s: %w", name, err)
	}
	if d.identity().GetRequestId() == "" {
		return d, fmt.Errorf("decode %s: %w", name, errNoIdentity)
	}
	return d, nil
}

// bury publishes a dead letter for a message that cannot be decoded, and
// returns ErrPoison when that is done.
func (r *runner) bury(ctx context.Context, msg jetstream.Msg, reason error) error {
	requestID := "unknown"
	tenant := ""
	if s, err := subject.Parse(r.Conn.Config.Prefix, msg.Subject()); err == nil {
		requestID, tenant = s.RequestID, s.Tenant
	}
	letter := message.Dead(&stepv1.DeadLetter{
		Identity:  &stepv1.StepIdentity{RequestId: requestID},
		Tenant:    tenant,
		Subject:   msg.Subject(),
		Failure:   &stepv1.Failure{Code: "undecodable", Message: reason.Error()},
		EventTime: timestamppb.New(time.Now()),
	})
	if _, err := r.Publish(ctx, letter); err != nil {
		return fmt.Errorf("bury message: %w", err)
	}
	return fmt.Errorf("%w: %w", ErrPoison, reason)
}
