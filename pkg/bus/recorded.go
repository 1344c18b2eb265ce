package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"windlass.dev/windlass/pkg/bus/internal/topology"
	"windlass.dev/windlass/pkg/bus/message"
	"windlass.dev/windlass/pkg/bus/subject"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

// ToolResults reads the stored results of a request's tool calls, oldest first,
// until take returns false. Each read is answered by the stream's leader, so
// that it sees what was acknowledged before; a replica may lag behind. No time
// bounds the read: the server's clock may differ from the database's.
func (b *Bus) ToolResults(
	ctx context.Context, tenant, requestID string, take func(e *stepv1.StepEvent) bool,
) error {
	question := map[string]any{
		"next_by_subj": b.conn.Subject(subject.Join("step", subject.Token(tenant), subject.Token(requestID), ">")),
		"seq":          1,
	}
	for {
		m, err := b.next(ctx, question)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the results of request %s: %w", requestID, err)
		}
		question["seq"] = m.Sequence + 1
		s, err := subject.Parse(b.conn.Config.Prefix, m.Subject)
		if err != nil || s.Event != subject.EventToolCompleted && s.Event != subject.EventToolFailed {
			continue
		}
		var e stepv1.StepEvent
		if proto.Unmarshal(m.Data, &e) != nil {
			continue // the consumer of results leaves a dead letter for it
		}
		if !take(&e) {
			return nil
		}
	}
}

// storedMessage is a message as the JetStream API returns it.
type storedMessage struct {
	Subject  string `json:"subject"`
	Sequence uint64 `json:"seq"`
	Data     []byte `json:"data"`
}

// next reads one message of the step stream.
func (b *Bus) next(ctx context.Context, question map[string]any) (*storedMessage, error) {
	var found struct {
		Message storedMessage `json:"message"`
	}
	if err := b.conn.Request(ctx, "STREAM.MSG.GET."+b.conn.Stream(topology.StreamStep), question, &found); err != nil {
		return nil, err
	}
	return &found.Message, nil
}

// Begin marks an at_most_once call as begun. The event is its ToolStarted. It
// returns true for the one delivery that may make the call. ErrFull: the mark
// could not be stored, and the call must not be made.
//
// The mark is also stored where runners of the previous version look for it.
func (b *Bus) Begin(ctx context.Context, pool string, e *stepv1.StepEvent, trace string) (first bool, err error) {
	first, err = b.PublishFirst(ctx, message.Mark(pool, e).WithTrace(trace))
	if !first || err != nil {
		return false, err
	}
	return b.PublishFirst(ctx, message.Event(e).WithTrace(trace).WithLongSubject())
}

// MarksAge returns how old the stream of marks is, by the server's clock alone:
// earlier marks are lost, and marks older than StepMaxAge are gone. A server
// that does not tell its time has marks of age 0.
func (b *Bus) MarksAge(ctx context.Context) (time.Duration, error) {
	var info struct {
		Created time.Time `json:"created"`
		Now     time.Time `json:"ts"`
	}
	if err := b.conn.Request(ctx, "STREAM.INFO."+b.conn.Stream(topology.StreamMark), struct{}{}, &info); err != nil {
		return 0, fmt.Errorf("look at the stream of marks: %w", err)
	}
	return max(info.Now.Sub(info.Created), 0), nil
}
