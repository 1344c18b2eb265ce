package conn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"windlass.dev/windlass/pkg/bus/internal/topology"
)

const watchEvery = time.Second

// WatchStreams looks at every stream once a second until ctx ends, and sets the
// gauges of streams and results. A stream that is missing, was made again (its
// creation time changed) or went back (its last sequence fell) is repaired,
// consumers included, and then reported once by its name; the caller makes
// every row in progress due. A stream that the server cannot write any more is
// created again as soon as the disk takes data (see probe). WatchStreams
// returns nil when ctx ends. It does not notice losses before its first look.
func (c *Conn) WatchStreams(ctx context.Context, lost func(stream string)) error {
	w, p := &watch{conn: c, seen: make(map[string]streamState)}, newProbe(c)
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		gone, err := w.round(ctx)
		if err != nil && ctx.Err() == nil {
			c.Log.Info("streams could not be looked at", zap.Error(err))
		}
		for _, suffix := range gone {
			c.Log.Warn("stream was lost and is repaired", zap.String("subject", c.Stream(suffix)))
			lost(c.Stream(suffix))
		}
		if err := p.round(ctx); err != nil && ctx.Err() == nil {
			c.Log.Info("writes to streams could not be examined", zap.Error(err))
		}
		if err := c.measureResults(ctx); err != nil && ctx.Err() == nil {
			c.Log.Info("results could not be counted", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// streamState is what a stream showed at the last look. The zero mark is that
// of a stream that was missing.
type streamState struct {
	created time.Time
	last    uint64
}

// measure sets the gauges of a stream, whose name is the one after the prefix.
func (c *Conn) measure(suffix string, info *jetstream.StreamInfo) {
	c.Metrics.bytes.WithLabelValues(suffix).Set(float64(info.State.Bytes))
	c.Metrics.limit.WithLabelValues(suffix).Set(float64(info.Config.MaxBytes))
	c.Metrics.messages.WithLabelValues(suffix).Set(float64(info.State.Msgs))
}

// measureResults counts the results that wait for their commit.
func (c *Conn) measureResults(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, APITimeout)
	defer cancel()
	consumer, err := c.JS.Consumer(ctx, c.Stream(topology.StreamStep), topology.ConsumerResults)
	if err != nil {
		return fmt.Errorf("count uncommitted results: %w", err)
	}
	info := consumer.CachedInfo()
	c.Metrics.uncommitted.Set(float64(info.NumPending) + float64(info.NumAckPending))
	return nil
}

type watch struct {
	conn *Conn
	seen map[string]streamState // by the stream's name after the prefix
}

// round looks at every stream and repairs what it finds, all at once. After an
// error the marks stay, so that the next round finds the losses.
func (w *watch) round(ctx context.Context) (lost []string, err error) {
	var errs []error
	var gone []string
	for _, suffix := range topology.StreamNames {
		switch is, err := w.look(ctx, suffix); {
		case err != nil:
			errs = append(errs, fmt.Errorf("look at stream %s: %w", w.conn.Stream(suffix), err))
		case is:
			gone = append(gone, suffix)
		}
	}
	if len(gone) == 0 {
		return nil, errors.Join(errs...)
	}
	if err := w.conn.Repair(ctx); err != nil {
		return nil, errors.Join(append(errs, fmt.Errorf("repair lost streams %v: %w", gone, err))...)
	}
	for _, suffix := range gone {
		now, err := w.mark(ctx, suffix)
		if err != nil {
			errs = append(errs, fmt.Errorf("look at repaired stream %s: %w", w.conn.Stream(suffix), err))
			continue
		}
		w.seen[suffix] = now
		lost = append(lost, suffix)
	}
	return lost, errors.Join(errs...)
}

// look compares a stream with its mark, and sets the mark unless the stream was
// lost.
func (w *watch) look(ctx context.Context, suffix string) (lost bool, err error) {
	before, known := w.seen[suffix]
	now, err := w.mark(ctx, suffix)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		w.seen[suffix] = before // known from now on: it is lost, even if it is there in the next round
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if known && (!now.created.Equal(before.created) || now.last < before.last) {
		return true, nil
	}
	w.seen[suffix] = now
	return false, nil
}

func (w *watch) mark(ctx context.Context, suffix string) (streamState, error) {
	ctx, cancel := context.WithTimeout(ctx, APITimeout)
	defer cancel()
	s, err := w.conn.JS.Stream(ctx, w.conn.Stream(suffix))
	if err != nil {
		return streamState{}, err
	}
	info := s.CachedInfo()
	w.conn.measure(suffix, info)
	return streamState{created: info.Created, last: info.State.LastSeq}, nil
}
