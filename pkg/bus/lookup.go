package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Purge deletes the queued turn and tool commands of one request, in flight or
// not. A worker that has one may not notice.
func (b *Bus) Purge(ctx context.Context, requestID string) error {
	id := token(requestID)
	return b.purge(ctx, requestID, map[string]string{
		streamTurn: "turn.*." + id + ".>",
		streamTool: "tool.*.*." + id + ".>",
	})
}

// Erase deletes everything the streams hold of one request that is over: its
// commands, its events with the tool results in them, and its marks. Dead
// letters, which carry no payloads, stay for people.
func (b *Bus) Erase(ctx context.Context, requestID string) error {
	id := token(requestID)
	return errors.Join(b.Purge(ctx, requestID), b.purge(ctx, requestID, map[string]string{
		streamFinal: "final." + id + ".*",
		streamStep:  "step.*." + id + ".>",
		streamMark:  "mark.*." + id + ".*",
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

// PauseLane stops the delivery of a lane's turns until a time, for all
// services; a time that has passed ends the pause. Turns in flight go on.
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

// ask asks the JetStream API for what the jetstream package has no call for, or
// only one with more round trips.
func (b *Bus) ask(ctx context.Context, verb string, question, answer any) error {
	return b.mend(ctx, func(ctx context.Context) error { return b.askOnce(ctx, verb, question, answer) })
}

// askOnce is ask without a repair.
func (b *Bus) askOnce(ctx context.Context, verb string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("encode question: %w", err)
	}
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
}
