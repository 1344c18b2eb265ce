package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

// ToolResult is the result that was published for one attempt of a tool call: its tool_completed or else its tool_failed
// event, nil when there is none. The read is answered by the stream's leader, so that it sees what was acknowledged before.
func (b *Bus) ToolResult(ctx context.Context, tenant string, id *stepv1.StepIdentity) (*stepv1.StepEvent, error) {
	for _, event := range []string{eventToolCompleted, eventToolFailed} {
		data, err := b.last(ctx, stepSubject(tenant, id, event))
		if err != nil {
			return nil, err
		}
		if data == nil {
			continue
		}
		var e stepv1.StepEvent
		if err := proto.Unmarshal(data, &e); err != nil {
			return nil, fmt.Errorf("decode %s of request %s: %w", event, id.GetRequestId(), err)
		}
		return &e, nil
	}
	return nil, nil
}

// ToolStarted reports whether one attempt of a tool call was marked as started. The read is answered by the leader.
func (b *Bus) ToolStarted(ctx context.Context, tenant string, id *stepv1.StepIdentity) (bool, error) {
	data, err := b.last(ctx, stepSubject(tenant, id, eventToolStarted))
	return data != nil, err
}

// last reads the last message of a subject of the step stream, nil when there is none. jetstream's own read goes to any
// replica when the stream allows direct get, and a replica may lag behind an acknowledged publish.
func (b *Bus) last(ctx context.Context, s Subject) ([]byte, error) {
	name := b.stream(streamStep)
	var found struct {
		Message struct {
			Data []byte `json:"data"`
		} `json:"message"`
	}
	ask := map[string]string{"last_by_subj": b.subject(s.tail())}
	err := b.ask(ctx, "STREAM.MSG.GET."+name, ask, &found)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read last %s: %w", b.subject(s.tail()), err)
	}
	if found.Message.Data == nil {
		return []byte{}, nil
	}
	return found.Message.Data, nil
}

// Purge deletes the queued turn and tool commands of one request, in flight or not. A worker that has one may not notice.
func (b *Bus) Purge(ctx context.Context, requestID string) error {
	id := token(requestID)
	return b.purge(ctx, requestID, map[string]string{
		streamTurn: "turn.*." + id + ".>",
		streamTool: "tool.*.*." + id + ".>",
	})
}

// Erase deletes everything the streams hold of one request that is over: its commands, and its events with the tool results in
// them. Dead letters, which carry no payloads, stay for people.
func (b *Bus) Erase(ctx context.Context, requestID string) error {
	id := token(requestID)
	return errors.Join(b.Purge(ctx, requestID), b.purge(ctx, requestID, map[string]string{
		streamFinal: "final." + id + ".*",
		streamStep:  "step.*." + id + ".>",
		streamLive:  liveSubject(requestID).tail(),
	}))
}

// purge deletes by stream and subject.
func (b *Bus) purge(ctx context.Context, requestID string, tails map[string]string) error {
	var errs []error
	for stream, tail := range tails {
		ask := map[string]string{"filter": b.subject(tail)}
		if err := b.ask(ctx, "STREAM.PURGE."+b.stream(stream), ask, nil); err != nil {
			errs = append(errs, fmt.Errorf("purge %s of request %s: %w", b.stream(stream), requestID, err))
		}
	}
	return errors.Join(errs...)
}

// LaneLoad counts a lane's turns: waiting ones and those in flight.
func (b *Bus) LaneLoad(ctx context.Context, lane string) (waiting, inFlight int, err error) {
	err = b.mend(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, apiTimeout)
		defer cancel()
		c, err := b.js.Consumer(ctx, b.stream(streamTurn), laneConsumer(lane))
		if err != nil {
			return err
		}
		info := c.CachedInfo()
		waiting, inFlight = int(info.NumPending), info.NumAckPending
		return nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("look at lane %q: %w", lane, err)
	}
	return waiting, inFlight, nil
}

// PauseLane stops the delivery of a lane's turns until a time, for all services; a time that has passed ends the pause. Turns
// in flight go on.
func (b *Bus) PauseLane(ctx context.Context, lane string, until time.Time) error {
	err := b.mend(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, apiTimeout)
		defer cancel()
		_, err := b.js.PauseConsumer(ctx, b.stream(streamTurn), laneConsumer(lane), until)
		return err
	})
	if err != nil {
		return fmt.Errorf("pause lane %q: %w", lane, err)
	}
	return nil
}

// ask asks the JetStream API for what the jetstream package has no call for, or only one with more round trips.
func (b *Bus) ask(ctx context.Context, verb string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("encode question: %w", err)
	}
	return b.mend(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, apiTimeout)
		defer cancel()
		msg, err := b.nc.RequestWithContext(ctx, "$JS.API."+verb, body)
		if err != nil {
			return err
		}
		var failed struct {
			Error *jetstream.APIError `json:"error"`
		}
		if err := json.Unmarshal(msg.Data, &failed); err != nil {
			return fmt.Errorf("decode answer: %w", err)
		}
		if failed.Error != nil {
			return failed.Error
		}
		if answer == nil {
			return nil
		}
		if err := json.Unmarshal(msg.Data, answer); err != nil {
			return fmt.Errorf("decode answer: %w", err)
		}
		return nil
	})
}
