package conn

import (
	"context"
	"errors"
	"strings"
	"time"

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

// Remake creates a stream again if it can store nothing more and nothing is
// lost by it. It reports whether a publish that was not answered is worth
// another try. Callers that come while one looks share its outcome.
func (c *Conn) Remake(ctx context.Context, suffix string) bool {
	if ctx.Err() != nil {
		return false
	}
	asked := time.Now()
	select {
	case c.repairing <- struct{}{}:
		defer func() { <-c.repairing }()
	case <-ctx.Done():
		return false
	}
	if r := c.remade[suffix]; r.at.After(asked) {
		return r.yes
	}
	ctx, cancel := context.WithTimeout(ctx, repairTimeout)
	defer cancel()
	yes, err := c.remakeBroken(ctx, c.Stream(suffix))
	if err != nil {
		c.Log.Info("stream that did not answer could not be looked into",
			zap.String("subject", c.Stream(suffix)), zap.Error(err))
	}
	c.remade[suffix] = remade{time.Now(), yes}
	return yes
}

func (c *Conn) remakeBroken(ctx context.Context, name string) (bool, error) {
	if broken, err := c.isBroken(ctx, name); !broken || err != nil {
		return false, err
	}
	// Other services may be here too, and one is to delete. A second one would
	// delete the stream that the first one made.
	if !waitRepairGap(ctx) {
		return false, context.Cause(ctx)
	}
	if broken, err := c.isBroken(ctx, name); !broken || err != nil {
		return err == nil, err
	}
	c.Log.Error("stream lost its files and is deleted", zap.String("subject", name))
	if err := c.JS.DeleteStream(ctx, name); err != nil {
		return false, err
	}
	return true, c.ensure(ctx)
}

// isBroken reports whether a stream's files refuse messages for good, and it
// holds none that a restart of the server would bring back: none at all, or its
// files are gone.
func (c *Conn) isBroken(ctx context.Context, name string) (bool, error) {
	// The server answers a purge, even of a subject without messages, by the
	// write error that it kept.
	err := c.requestOnce(ctx, "STREAM.PURGE."+name, map[string]string{"filter": c.Subject("nothing")}, nil)
	var refusal *jetstream.APIError
	if !errors.As(err, &refusal) || refusal.ErrorCode != codeGeneral {
		return false, err
	}
	s, err := c.JS.Stream(ctx, name)
	if err != nil {
		return false, err
	}
	held := s.CachedInfo().State.Msgs
	if held > 0 && !strings.Contains(refusal.Description, noFiles) {
		c.Log.Error("stream stores nothing until the server restarts",
			zap.String("subject", name), zap.Uint64("messages", held), zap.Error(refusal))
		return false, nil
	}
	return true, nil
}
