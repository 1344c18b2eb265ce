package conn

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus/internal/topology"
	"windlass.dev/windlass/pkg/retry"
)

var errNoTopology = errors.New("topology is not known: Ensure was not called")

// Pauses are the pauses between tries while the server is away.
var Pauses = retry.Policy{First: 30 * time.Millisecond, Last: 1300 * time.Millisecond}

// Ensure is bus.Bus.Ensure.
func (c *Conn) Ensure(ctx context.Context, t topology.Topology) error {
	if err := t.Validate(); err != nil {
		return fmt.Errorf("check topology: %w", err)
	}
	c.mu.Lock()
	c.topology = t.Clone()
	c.mu.Unlock()
	return retry.Do(ctx, Pauses, func(err error) bool {
		again := isTransient(err)
		if again {
			c.Log.Warn("streams could not be ensured", zap.Error(err))
		}
		return again
	}, c.ensure)
}

// ensure creates or updates every stream and consumer of the topology, once.
func (c *Conn) ensure(ctx context.Context) error {
	c.mu.Lock()
	t := c.topology
	c.mu.Unlock()
	if t == nil {
		return errNoTopology
	}
	for _, s := range c.Config.Streams() {
		if err := c.ensureStream(ctx, s); err != nil {
			return fmt.Errorf("ensure stream %s: %w", s.Name, err)
		}
	}
	for _, want := range c.Config.Consumers(t) {
		if err := c.ensureConsumer(ctx, want); err != nil {
			return fmt.Errorf("ensure consumer %s of %s: %w", want.Config.Name, want.Stream, err)
		}
	}
	return nil
}

// ensureStream reads before it writes, so that a service without permission to
// create streams works with those that another service created.
func (c *Conn) ensureStream(ctx context.Context, want jetstream.StreamConfig) error {
	ctx, cancel := context.WithTimeout(ctx, 2*APITimeout)
	defer cancel()
	s, err := c.JS.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = c.JS.CreateStream(ctx, want)
		return c.adviseStorage(want, err)
	}
	if err != nil {
		return err
	}
	have := s.CachedInfo().Config
	if next := mergeStream(have, want); !reflect.DeepEqual(have, next) {
		_, err = c.JS.UpdateStream(ctx, next)
	}
	return c.adviseStorage(want, err)
}

// adviseStorage adds to an error the settings that decide whether the server
// can reserve a stream's limit.
func (c *Conn) adviseStorage(want jetstream.StreamConfig, err error) error {
	if APICode(err) != codeNoStorage {
		return err
	}
	suffix := strings.TrimPrefix(want.Name, c.Stream(""))
	return fmt.Errorf("the server cannot reserve %d bytes: raise its max_file_store or lower %s: %w",
		want.MaxBytes, topology.MaxBytesSetting(suffix), err)
}

func (c *Conn) ensureConsumer(ctx context.Context, want topology.Consumer) error {
	ctx, cancel := context.WithTimeout(ctx, 2*APITimeout)
	defer cancel()
	found, err := c.JS.Consumer(ctx, want.Stream, want.Config.Name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return c.createConsumer(ctx, want)
	}
	if err != nil {
		return err
	}
	have := found.CachedInfo().Config
	if next := mergeConsumer(have, want.Config); !reflect.DeepEqual(have, next) {
		_, err = c.JS.UpdateConsumer(ctx, want.Stream, next)
	}
	return err
}

// createConsumer creates a consumer, and once more if it took over the position
// of an earlier one.
func (c *Conn) createConsumer(ctx context.Context, want topology.Consumer) error {
	if start := want.Config.OptStartTime; start != nil {
		s, err := c.JS.Stream(ctx, want.Stream)
		if err != nil {
			return err
		}
		if now := s.CachedInfo().TimeStamp; !now.IsZero() {
			at := now.Add(-time.Since(*start)) // by the server's clock, which stamps messages
			want.Config.OptStartTime = &at
		}
	}
	for first := true; ; first = false {
		created, err := c.JS.CreateConsumer(ctx, want.Stream, want.Config)
		if errors.Is(err, jetstream.ErrConsumerExists) {
			return nil // another service was faster; its results start at another time
		}
		if err != nil || !first {
			return err
		}
		if skips, err := c.skipsMessages(ctx, want.Stream, created.CachedInfo()); err != nil || !skips {
			return err
		}
		c.Log.Info("consumer starts behind stored messages and is created again",
			zap.String("subject", want.Stream+" "+want.Config.Name))
		if err := c.JS.DeleteConsumer(ctx, want.Stream, want.Config.Name); err != nil && !IsMissing(err) {
			return err
		}
	}
}

// skipsMessages reports whether a consumer that has delivered nothing is past
// stored messages, which it would never deliver. The server reads the position
// of a new consumer from its directory. If a stream lost its files, those of
// its last consumers may be left there, with positions ahead of every message
// of the new stream. A consumer that starts at a time may also be past
// messages; it is created once more, with the same result.
func (c *Conn) skipsMessages(ctx context.Context, stream string, info *jetstream.ConsumerInfo) (bool, error) {
	if info.Delivered.Stream == 0 || info.Delivered.Last != nil {
		return false, nil
	}
	s, err := c.JS.Stream(ctx, stream)
	if err != nil {
		return false, err
	}
	return info.Delivered.Stream >= max(s.CachedInfo().State.FirstSeq, 1), nil
}
