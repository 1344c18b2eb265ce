package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

const (
	// codeStoreFailed is the server's error code for anything its store
	// refused: the per-subject limit, but also a full stream. Only the
	// description tells them apart.
	codeStoreFailed       jetstream.ErrorCode = 10077
	refusedPerSubjectText                     = "maximum messages per subject exceeded"
	fullBytesText                             = "maximum bytes exceeded"
	fullMessagesText                          = "maximum messages exceeded"
)

// ErrFull says that a stream is at its limit and refused a message. The
// message is not stored. The sweep publishes what a row needs when there is
// room again.
var ErrFull = errors.New("stream is full")

// ErrTooLarge says that a message exceeds what the server takes. It will on the
// next try, too.
var ErrTooLarge = errors.New("message is too large for the bus")

// failure is a message that could not be published, and why.
type failure struct {
	message Message
	err     error
}

// Publish publishes all messages at once and waits until every one is stored or
// refused, at most 2 s. A command that is queued or in flight already is
// refused by the server; that is success, and counted. If a stream is missing,
// or gives no answer because it lost its files, Publish makes it again and
// tries once more. The error joins all that failed. It is ErrFull if a full
// stream refused every one of them, and none of those is stored. After any
// other error some may have been stored, so that commands published again have
// to be marked as a repeat (AsRepeat).
func (b *Bus) Publish(ctx context.Context, msgs ...Message) (refused int, err error) {
	refused, failed := b.publish(ctx, msgs)
	if !b.recovers(ctx, failed) {
		return refused, joinFailures(failed)
	}
	again := make([]Message, len(failed))
	for i, f := range failed {
		again[i] = f.message
		if !isMissing(f.err) {
			again[i] = f.message.AsRepeat()
		}
	}
	more, failed := b.publish(ctx, again)
	return refused + more, joinFailures(failed)
}

func (b *Bus) publish(ctx context.Context, msgs []Message) (refused int, failed []failure) {
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
		switch err := wait(ctx, f); {
		case err == nil:
		case isRefused(err):
			refused++
		case isFull(err):
			b.metrics.full.WithLabelValues(msgs[i].subject.stream()).Inc()
			failed = append(failed, failure{msgs[i], fmt.Errorf("publish %s: %w: %w", f.Msg().Subject, ErrFull, err)})
		default:
			failed = append(failed, failure{msgs[i], fmt.Errorf("publish %s: %w", f.Msg().Subject, mapPublishError(err))})
		}
	}
	return refused, failed
}

func (b *Bus) send(m Message) (jetstream.PubAckFuture, error) {
	msg, err := b.encode(m)
	if err != nil {
		return nil, err
	}
	// No retry inside nats.go: "no responders" is answered by a repair, which
	// looks at the stream first.
	f, err := b.js.PublishMsgAsync(msg, jetstream.WithRetryAttempts(0))
	if err != nil {
		return nil, fmt.Errorf("publish %s: %w", msg.Subject, mapPublishError(err))
	}
	return f, nil
}

// wait ends with the PubAck, with the publisher's own time limit, or with ctx.
func wait(ctx context.Context, f jetstream.PubAckFuture) error {
	select {
	case <-f.Ok():
		return nil
	case err := <-f.Err():
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Announce publishes messages that nobody waits for. What the server does not
// take is lost without a word.
func (b *Bus) Announce(msgs ...Message) {
	for _, m := range msgs {
		msg, err := b.encode(m)
		if err == nil {
			err = b.nc.PublishMsg(msg)
		}
		if err != nil {
			b.log.Debug("announcement lost", zap.Error(err))
		}
	}
}

// PublishFirst publishes a message unless its subject holds one. It returns
// true for the one publisher whose message was stored. ErrFull: it was not
// stored. After any other error it may have been.
func (b *Bus) PublishFirst(ctx context.Context, m Message) (first bool, err error) {
	msg, err := b.encode(m)
	if err != nil {
		return false, err
	}
	first, err = b.firstOf(ctx, m.subject.stream(), msg)
	if err == nil {
		return first, nil
	}
	if isFull(err) {
		b.metrics.full.WithLabelValues(m.subject.stream()).Inc()
		err = fmt.Errorf("%w: %w", ErrFull, err)
	}
	return false, fmt.Errorf("publish %s first: %w", msg.Subject, mapPublishError(err))
}

// publishBehind publishes a message if the last one of its subject has the
// given sequence; 0: if there is none.
func (b *Bus) publishBehind(ctx context.Context, suffix string, msg *nats.Msg, last uint64) error {
	return b.publishOne(ctx, suffix, msg, jetstream.WithExpectLastSequencePerSubject(last))
}

// publishOne publishes a message and waits for its answer. A broken stream is
// made again, but the message is not published again: who publishes has to
// decide that of a message that may have been stored.
func (b *Bus) publishOne(ctx context.Context, suffix string, msg *nats.Msg, opts ...jetstream.PublishOpt) error {
	opts = append(opts, jetstream.WithRetryAttempts(0))
	err := b.mend(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, publishTimeout)
		defer cancel()
		_, err := b.js.PublishMsg(ctx, msg, opts...)
		return err
	})
	if isUnanswered(err) {
		b.remake(ctx, suffix)
	}
	return err
}

// isRefused reports whether the server refused a message because its subject
// holds one.
func isRefused(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == codeStoreFailed && strings.Contains(api.Description, refusedPerSubjectText)
}

// isFull reports whether the server refused a message because its stream is at
// its limit.
func isFull(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == codeStoreFailed &&
		(strings.Contains(api.Description, fullBytesText) || strings.Contains(api.Description, fullMessagesText))
}

// isMissing reports whether an error says that a stream or a consumer does not
// exist.
func isMissing(err error) bool {
	return errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrConsumerNotFound) ||
		errors.Is(err, jetstream.ErrConsumerDeleted)
}

func mapPublishError(err error) error {
	if errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum) {
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	}
	return err
}

// apiCode is the JetStream error code of an error, 0 if it has none.
func apiCode(err error) jetstream.ErrorCode {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.ErrorCode
	}
	var js jetstream.JetStreamError
	if errors.As(err, &js) && js.APIError() != nil {
		return js.APIError().ErrorCode
	}
	return 0
}

// recovers makes missing and broken streams again, and reports whether another
// try is worth it.
func (b *Bus) recovers(ctx context.Context, failed []failure) (again bool) {
	unanswered := make(map[string]bool)
	for _, f := range failed {
		if isMissing(f.err) {
			return b.repair(ctx) == nil
		}
		if isUnanswered(f.err) {
			unanswered[f.message.subject.stream()] = true
		}
	}
	for suffix := range unanswered {
		again = b.remake(ctx, suffix) || again
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
