package bus

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

// Headers of every message. nats.go compares header names by case; the server knows traceparent in lower case.
const (
	headerContentType = "Content-Type"
	headerType        = "Windlass-Type"
	headerEpoch       = "Windlass-Epoch"
	headerAttempt     = "Windlass-Attempt"
	headerStep        = "Windlass-Step" // <epoch>-<turn>-<index>-<attempt> of an event
	headerTrace       = "traceparent"

	contentType = "application/protobuf"
)

// Message is one message ready to publish. It keeps the protobuf message it was made of, which must not change until the
// publish returned. The zero Message cannot be published.
type Message struct {
	subject Subject
	body    proto.Message
	trace   string
}

// Turn makes a message of a turn command.
func Turn(c *stepv1.TurnCommand) Message { return Message{subject: turnSubject(c), body: c} }

// Tool makes a message of a tool command.
func Tool(c *stepv1.ToolCommand) Message { return Message{subject: toolSubject(c), body: c} }

// Final makes a message of a final command.
func Final(c *stepv1.FinalCommand) Message { return Message{subject: finalSubject(c), body: c} }

// Event makes a message of a step event.
func Event(e *stepv1.StepEvent) Message {
	return Message{subject: stepSubject(e.GetTenant(), e.GetIdentity(), eventName(e)), body: e}
}

// Mark makes the message that says that an at_most_once call is begun. The
// event is its ToolStarted.
func Mark(pool string, e *stepv1.StepEvent) Message {
	return Message{subject: markSubject(pool, e.GetIdentity()), body: e}
}

// Dead makes a message of a dead letter.
func Dead(d *stepv1.DeadLetter) Message {
	return Message{subject: deadSubject(d.GetIdentity().GetRequestId()), body: d}
}

// Live makes a message of live frames.
func Live(f *stepv1.LiveFrames) Message {
	s := liveSubject(f.GetRequestId())
	s.Epoch, s.Turn, s.Attempt = f.GetEpoch(), f.GetTurn(), f.GetAttempt()
	return Message{subject: s, body: f}
}

// WithTrace is the message with a W3C traceparent in its headers; an empty one changes nothing.
func (m Message) WithTrace(traceparent string) Message {
	m.trace = traceparent
	return m
}

// AsRepeat is the message with its command marked as published before, for the publish after one of unknown outcome.
// Messages that are no commands come back as they are.
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

var errNoEvent = errors.New("step event says nothing")

func (b *Bus) encode(m Message) (*nats.Msg, error) {
	if m.body == nil {
		return nil, errors.New("message is empty")
	}
	if m.subject.Family == FamilyStep && m.subject.Event == "" {
		return nil, errNoEvent
	}
	data, err := proto.Marshal(m.body)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", m.body.ProtoReflect().Descriptor().FullName(), err)
	}
	h := nats.Header{
		headerContentType: {contentType},
		headerType:        {string(m.body.ProtoReflect().Descriptor().FullName())},
	}
	if m.subject.Family != FamilyDead {
		h[headerEpoch] = []string{strconv.FormatUint(uint64(m.subject.Epoch), 10)}
	}
	if m.subject.Family != FamilyDead && m.subject.Family != FamilyFinal {
		h[headerAttempt] = []string{strconv.FormatUint(uint64(m.subject.Attempt), 10)}
	}
	if m.subject.Family == FamilyStep {
		h[headerStep] = []string{m.subject.identity()}
	}
	if m.trace != "" {
		h[headerTrace] = []string{m.trace}
	}
	return &nats.Msg{Subject: b.subject(m.subject.tail()), Header: h, Data: data}, nil
}
