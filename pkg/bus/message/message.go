// Package message makes the messages that the bus carries: a protobuf message,
// its subject and its headers.
//
// It promises that the subject and the headers say what the message is
// (TestHeadersSayWhatTheMessageIs in package bus), and that AsRepeat leaves the
// original unchanged (TestAsRepeatMarksCommandsAndLeavesTheOriginal there).
// That later versions still read these messages is held by
// TestWireOfEarlierVersions in package consume.
package message

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"windlass.dev/windlass/pkg/bus/subject"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

// Headers of every message. nats.go distinguishes header names by case; the
// server knows traceparent in lower case.
const (
	HeaderType        = "Windlass-Type"
	HeaderTrace       = "traceparent"
	headerContentType = "Content-Type"
	headerEpoch       = "Windlass-Epoch"
	headerAttempt     = "Windlass-Attempt"
	headerStep        = "Windlass-Step" // <epoch>-<turn>-<index>-<attempt> of an event

	contentType = "application/protobuf"
)

// Message is one message ready to publish. It keeps the protobuf message from
// which it was made; the caller must not change that before the publish has
// returned. The zero Message cannot be published.
type Message struct {
	subject subject.Subject
	body    proto.Message
	trace   string
}

// Turn makes a message of a turn command.
func Turn(c *stepv1.TurnCommand) Message { return Message{subject: subject.ForTurn(c), body: c} }

// Tool makes a message of a tool command.
func Tool(c *stepv1.ToolCommand) Message { return Message{subject: subject.ForTool(c), body: c} }

// Final makes a message of a final command.
func Final(c *stepv1.FinalCommand) Message { return Message{subject: subject.ForFinal(c), body: c} }

// Event makes a message of a step event.
func Event(e *stepv1.StepEvent) Message {
	return Message{subject: subject.ForStep(e.GetTenant(), e.GetIdentity(), subject.EventName(e)), body: e}
}

// Mark makes the message that marks an at_most_once call as begun. The event is
// its ToolStarted.
func Mark(pool string, e *stepv1.StepEvent) Message {
	return Message{subject: subject.ForMark(pool, e.GetIdentity()), body: e}
}

// Dead makes a message of a dead letter.
func Dead(d *stepv1.DeadLetter) Message {
	return Message{subject: subject.ForDead(d.GetIdentity().GetRequestId()), body: d}
}

// Live makes a message of live frames.
func Live(f *stepv1.LiveFrames) Message {
	s := subject.ForLive(f.GetRequestId())
	s.Epoch, s.Turn, s.Attempt = f.GetEpoch(), f.GetTurn(), f.GetAttempt()
	return Message{subject: s, body: f}
}

// Stream returns the name, after the prefix, of the stream that stores the
// message.
func (m Message) Stream() string { return m.subject.Stream() }

// WithTrace returns the message with a W3C traceparent in its headers; an empty
// one changes nothing.
func (m Message) WithTrace(traceparent string) Message {
	m.trace = traceparent
	return m
}

// WithLongSubject returns an event on the subject of earlier versions, with the
// identity before the event's name.
func (m Message) WithLongSubject() Message {
	m.subject.Long = true
	return m
}

// AsRepeat returns the message with its command marked as published before, for
// the publish after one of unknown outcome. Other messages stay unchanged.
func (m Message) AsRepeat() Message {
	switch c := m.body.(type) {
	case *stepv1.TurnCommand:
		c = proto.CloneOf(c)
		c.Repeat = true
		m.body = c
	case *stepv1.ToolCommand:
		c = proto.CloneOf(c)
		c.Repeat = true
		m.body = c
	case *stepv1.FinalCommand:
		c = proto.CloneOf(c)
		c.Repeat = true
		m.body = c
	}
	return m
}

var (
	errEmpty   = errors.New("message is empty")
	errNoEvent = errors.New("step event is not set")
)

// Encode returns the message in the form of the NATS client, its subject below
// the prefix.
func (m Message) Encode(prefix string) (*nats.Msg, error) {
	if m.body == nil {
		return nil, errEmpty
	}
	if m.subject.Family == subject.FamilyStep && m.subject.Event == "" {
		return nil, errNoEvent
	}
	name := string(m.body.ProtoReflect().Descriptor().FullName())
	data, err := proto.Marshal(m.body)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", name, err)
	}
	h := nats.Header{headerContentType: {contentType}, HeaderType: {name}}
	if m.subject.Family != subject.FamilyDead {
		h[headerEpoch] = []string{strconv.FormatUint(uint64(m.subject.Epoch), 10)}
	}
	if m.subject.Family != subject.FamilyDead && m.subject.Family != subject.FamilyFinal {
		h[headerAttempt] = []string{strconv.FormatUint(uint64(m.subject.Attempt), 10)}
	}
	if m.subject.Family == subject.FamilyStep {
		h[headerStep] = []string{m.subject.Identity()}
	}
	if m.trace != "" {
		h[HeaderTrace] = []string{m.trace}
	}
	return &nats.Msg{Subject: subject.Join(prefix, m.subject.Tail()), Header: h, Data: data}, nil
}
