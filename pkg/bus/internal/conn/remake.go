package conn

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// nats-server (2.15) deletes a stream in this order: it drops the name, ends
// the consumers, and moves the directory away. A stream that is created again
// in between, as by the pullers of those consumers, loses its directory to that
// last step. Its info looks sound, but the server answers none of its publishes
// until it restarts. Therefore repairs wait before they create anything, and
// Remake examines a stream that did not answer a publish.

// noFiles is in the server's error when a stream's directory is gone.
const noFiles = "no such file or directory"

// remade is the outcome of the last Remake of a stream.
type remade struct {
	at  time.Time
	yes bool
}

// Remake creates a stream again if it can store nothing more and nothing is
// lost by it. It reports whether a publish that was not answered is worth
// another try. Concurrent callers share one outcome.
func (c *Conn) Remake(ctx context.Context, suffix string) bool {
	if ctx.Err() != nil {
		return false
	}
	c.doubt(suffix)
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
		c.Log.Info("stream that did not answer could not be examined",
			zap.String("subject", c.Stream(suffix)), zap.Error(err))
	}
	c.remade[suffix] = remade{time.Now(), yes}
	return yes
}

func (c *Conn) remakeBroken(ctx context.Context, name string) (bool, error) {
	if broken, err := c.isBroken(ctx, name); !broken || err != nil {
		return false, err
	}
	// Other services may do the same. A second delete would remove the stream
	// that the first service created.
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
	// The server answers a purge, even of a subject without messages, with the
	// write error that it keeps.
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
	if held > 0 && !strings.Contains(refusal.Description, noFiles) || strings.Contains(refusal.Description, noSpace) {
		return false, nil // the probe of a claimer creates it again when the disk takes data
	}
	return true, nil
}
