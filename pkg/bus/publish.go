package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"windlass.dev/windlass/pkg/bus/internal/conn"
	"windlass.dev/windlass/pkg/bus/message"
)

// failure is a message that could not be published, and why.
type failure struct {
	message message.Message
	err     error
}

// Publish publishes all messages at once and waits until every one is stored or
// refused, at most 2 s for each of two tries and the repair between them. A
// command that is queued or in flight already is refused by the server; that is
// success, and counted. If a stream is missing, or gives no answer because it
// lost its files, Publish creates it again and tries once more. The error joins
// all that failed. It is ErrFull if a full stream refused every one of them,
// and none of those is stored. After any other error some may have been stored,
// so that commands published again have to be marked as a repeat (AsRepeat).
func (b *Bus) Publish(ctx context.Context, msgs ...message.Message) (refused int, err error) {
	refused, failed := b.publish(ctx, msgs)
	if !b.repairFor(ctx, failed) {
		return refused, joinFailures(failed)
	}
	again := make([]message.Message, len(failed))
	for i, f := range failed {
		again[i] = f.message
		if !conn.IsMissing(f.err) {
			again[i] = f.message.AsRepeat()
		}
	}
	more, failed := b.publish(ctx, again)
	return refused + more, joinFailures(failed)
}

func (b *Bus) publish(ctx context.Context, msgs []message.Message) (refused int, failed []failure) {
	futures := make([]jetstream.PubAckFuture, len(msgs))
	for i, m := range msgs {
		f, err := b.send(m)
		if err != nil {
			failed = append(failed, failure{m, err})
		}
		futures[i] = f
	}
	for i, f := range futures {
		if f == nil {
			continue
		}
		switch err := awaitAck(ctx, f); {
		case err == nil:
			b.conn.Trust(msgs[i].Stream())
		case conn.IsRefused(err):
			refused++
		case conn.IsFull(err):
			b.conn.Metrics.CountFull(msgs[i].Stream())
			err = fmt.Errorf("publish %s: %w: %w", f.Msg().Subject, ErrFull, err)
			failed = append(failed, failure{msgs[i], err})
		default:
			err = fmt.Errorf("publish %s: %w", f.Msg().Subject, conn.MapPublishError(err))
			failed = append(failed, failure{msgs[i], err})
		}
	}
	return refused, failed
}

func (b *Bus) send(m message.Message) (jetstream.PubAckFuture, error) {
	msg, err := m.Encode(b.conn.Config.Prefix)
	if err != nil {
		return nil, err
	}
	// No retry inside nats.go: "no responders" is answered by a repair, which
	// looks at the stream first.
	f, err := b.conn.JS.PublishMsgAsync(msg, jetstream.WithRetryAttempts(0))
	if err != nil {
		return nil, fmt.Errorf("publish %s: %w", msg.Subject, conn.MapPublishError(err))
	}
	return f, nil
}

// awaitAck ends with the PubAck, with the publisher's own time limit, or with
// ctx.
func awaitAck(ctx context.Context, f jetstream.PubAckFuture) error {
	select {
	case <-f.Ok():
		return nil
	case err := <-f.Err():
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Announce publishes messages without waiting for an answer. What the server
// does not store is lost without an error.
func (b *Bus) Announce(msgs ...message.Message) {
	for _, m := range msgs {
		msg, err := m.Encode(b.conn.Config.Prefix)
		if err == nil {
			err = b.conn.NATS.PublishMsg(msg)
		}
		if err != nil {
			b.conn.Log.Debug("announcement lost", zap.Error(err))
		}
	}
}

// PublishFirst publishes a message unless its subject holds one. It returns
// true for the one publisher whose message was stored. ErrFull: it was not
// stored. After any other error it may have been.
func (b *Bus) PublishFirst(ctx context.Context, m message.Message) (first bool, err error) {
	msg, err := m.Encode(b.conn.Config.Prefix)
	if err != nil {
		return false, err
	}
	first, err = b.conn.PublishFirst(ctx, m.Stream(), msg)
	if err == nil {
		return first, nil
	}
	if conn.IsFull(err) {
		b.conn.Metrics.CountFull(m.Stream())
		err = fmt.Errorf("%w: %w", ErrFull, err)
	}
	return false, fmt.Errorf("publish %s first: %w", msg.Subject, conn.MapPublishError(err))
}

// repairFor creates missing and broken streams again, and reports whether
// another try is worth it.
func (b *Bus) repairFor(ctx context.Context, failed []failure) (again bool) {
	unanswered := make(map[string]bool)
	for _, f := range failed {
		if conn.IsMissing(f.err) {
			return b.conn.Repair(ctx) == nil
		}
		if conn.IsUnanswered(f.err) {
			unanswered[f.message.Stream()] = true
		}
	}
	for suffix := range unanswered {
		again = b.conn.Remake(ctx, suffix) || again
	}
	return again
}

// joinFailures joins the errors. The result is ErrFull only if all of them are.
func joinFailures(failed []failure) error {
	errs := make([]error, len(failed))
	full := 0
	for i, f := range failed {
		errs[i] = f.err
		if errors.Is(f.err, ErrFull) {
			full++
		}
	}
	if full == len(failed) {
		return errors.Join(errs...)
	}
	for i, err := range errs {
		if errors.Is(err, ErrFull) {
			errs[i] = errors.New(err.Error()) // hides ErrFull
		}
	}
	return errors.Join(errs...)
}
