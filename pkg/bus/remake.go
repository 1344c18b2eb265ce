package bus

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// A server that deletes a stream forgets its name first, ends its consumers,
// and moves its directory away last. Who makes the stream again in between, as
// the pullers of those consumers may, gets one whose directory is then moved
// away under it. It looks sound, and takes every message without a word: the
// server answers no publish that its files refuse, until it restarts. Repairs
// therefore wait before they make anything, and a stream that leaves a publish
// without an answer is looked into here.

// noFiles is in the server's error when a stream's directory is gone.
const noFiles = "no such file or directory"

// remade is the outcome of a look into a stream that did not answer a publish.
type remade struct {
	at  time.Time
	yes bool
}

// remake makes a stream again if it can store nothing more and nothing is lost
// by it. It reports whether a publish that was not answered is worth another
// try. Callers that come while one looks share its outcome.
func (b *Bus) remake(ctx context.Context, suffix string) bool {
	if ctx.Err() != nil {
		return false
	}
	asked := time.Now()
	select {
	case b.repairing <- struct{}{}:
		defer func() { <-b.repairing }()
	case <-ctx.Done():
		return false
	}
	if r := b.remade[suffix]; r.at.After(asked) {
		return r.yes
	}
	ctx, cancel := context.WithTimeout(ctx, repairTimeout)
	defer cancel()
	yes, err := b.remakeBroken(ctx, b.stream(suffix))
	if err != nil {
		b.log.Info("stream that did not answer could not be looked into",
			zap.String("subject", b.stream(suffix)), zap.Error(err))
	}
	b.remade[suffix] = remade{time.Now(), yes}
	return yes
}

func (b *Bus) remakeBroken(ctx context.Context, name string) (bool, error) {
	if broken, err := b.isBroken(ctx, name); !broken || err != nil {
		return false, err
	}
	// Other services may be here too, and one is to delete. A second one would
	// delete the stream that the first one made.
	if !sleep(ctx, repairGap) {
		return false, context.Cause(ctx)
	}
	if broken, err := b.isBroken(ctx, name); !broken || err != nil {
		return err == nil, err
	}
	b.log.Error("stream lost its files and is deleted", zap.String("subject", name))
	if err := b.js.DeleteStream(ctx, name); err != nil {
		return false, err
	}
	return true, b.ensure(ctx)
}

// isBroken reports whether a stream's files refuse messages for good, and it
// holds none that a restart of the server would bring back: none at all, or its
// files are gone.
func (b *Bus) isBroken(ctx context.Context, name string) (bool, error) {
	// The server answers a purge, even of a subject without messages, by the
	// write error that it kept.
	err := b.askOnce(ctx, "STREAM.PURGE."+name, map[string]string{"filter": b.subject("nothing")}, nil)
	var refusal *jetstream.APIError
	if !errors.As(err, &refusal) || refusal.ErrorCode != codeGeneral {
		return false, err
	}
	s, err := b.js.Stream(ctx, name)
	if err != nil {
		return false, err
	}
	held := s.CachedInfo().State.Msgs
	if held > 0 && !strings.Contains(refusal.Description, noFiles) {
		b.log.Error("stream stores nothing until the server restarts",
			zap.String("subject", name), zap.Uint64("messages", held), zap.Error(refusal))
		return false, nil
	}
	return true, nil
}

// isUnanswered reports whether an error says that the server answered a publish
// with nothing.
func isUnanswered(err error) bool {
	return errors.Is(err, jetstream.ErrAsyncPublishTimeout) || errors.Is(err, nats.ErrTimeout) ||
		errors.Is(err, context.DeadlineExceeded)
}
