package conn

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// PublishBehind publishes a message if the last one of its subject has the
// given sequence, or with 0 if its subject has no message.
func (c *Conn) PublishBehind(ctx context.Context, suffix string, msg *nats.Msg, last uint64) error {
	return c.PublishOne(ctx, suffix, msg, jetstream.WithExpectLastSequencePerSubject(last))
}

// PublishOne publishes a message and waits for its answer. A broken stream is
// created again, but the message is not published again: it may have been
// stored, and the caller decides.
func (c *Conn) PublishOne(ctx context.Context, suffix string, msg *nats.Msg, opts ...jetstream.PublishOpt) error {
	opts = append(opts, jetstream.WithRetryAttempts(0))
	err := c.Mend(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, PublishTimeout)
		defer cancel()
		_, err := c.JS.PublishMsg(ctx, msg, opts...)
		return err
	})
	if err == nil {
		c.Trust(suffix)
	}
	if IsUnanswered(err) {
		c.Remake(ctx, suffix)
	}
	return err
}

// PublishFirst publishes a message unless its subject holds one.
func (c *Conn) PublishFirst(ctx context.Context, suffix string, msg *nats.Msg) (first bool, err error) {
	err = c.PublishBehind(ctx, suffix, msg, 0)
	switch code := APICode(err); {
	case err == nil:
		return true, nil
	case IsRefused(err), code == jetstream.JSErrCodeStreamWrongLastSequence,
		code == jetstream.JSErrCodeStreamWrongLastSequenceConstant:
		return false, nil
	}
	return false, err
}
