package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

const watchEvery = time.Second

// WatchStreams looks at every stream once a second until ctx ends, and sets the
// gauges of streams and results. A stream that is missing, was made again (its
// creation time changed) or went back (its last sequence fell) is repaired,
// consumers included, and then reported once by its name; the caller makes every
// row in progress due. WatchStreams returns nil when ctx ends. It does not
// notice losses before its first look.
func (b *Bus) WatchStreams(ctx context.Context, lost func(stream string)) error {
	w := &watch{bus: b, seen: make(map[string]streamState)}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		for _, suffix := range streamNames {
			gone, err := w.look(ctx, suffix)
			if err != nil && ctx.Err() == nil {
				b.log.Info("stream could not be looked at", zap.Error(err))
			}
			if gone {
				b.log.Warn("stream was lost and is repaired", zap.String("subject", b.stream(suffix)))
				lost(b.stream(suffix))
			}
		}
		if err := b.measureResults(ctx); err != nil && ctx.Err() == nil {
			b.log.Info("results could not be counted", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// streamState is what a stream showed at the last look. The zero mark is that of a stream that was missing.
type streamState struct {
	created time.Time
	last    uint64
}

// measure sets the gauges of a stream, whose name is the one after the prefix.
func (b *Bus) measure(suffix string, info *jetstream.StreamInfo) {
	b.metrics.bytes.WithLabelValues(suffix).Set(float64(info.State.Bytes))
	b.metrics.limit.WithLabelValues(suffix).Set(float64(info.Config.MaxBytes))
	b.metrics.messages.WithLabelValues(suffix).Set(float64(info.State.Msgs))
}

// measureResults counts the results that wait for their commit.
func (b *Bus) measureResults(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	c, err := b.js.Consumer(ctx, b.stream(streamStep), consumerResults)
	if err != nil {
		return fmt.Errorf("count uncommitted results: %w", err)
	}
	info := c.CachedInfo()
	b.metrics.uncommitted.Set(float64(info.NumPending) + float64(info.NumAckPending))
	return nil
}

type watch struct {
	bus  *Bus
	seen map[string]streamState
}

// look compares a stream with its mark and repairs what it finds. After an error the mark stays, so that the next look finds
// the loss.
func (w *watch) look(ctx context.Context, suffix string) (lost bool, err error) {
	name := w.bus.stream(suffix)
	now, err := w.mark(ctx, suffix)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if _, known := w.seen[name]; !known {
			w.seen[name] = streamState{}
		}
		if err := w.bus.repair(ctx); err != nil {
			return false, fmt.Errorf("repair missing stream %s: %w", name, err)
		}
		now, err = w.mark(ctx, suffix)
	}
	if err != nil {
		return false, fmt.Errorf("look at stream %s: %w", name, err)
	}
	before, known := w.seen[name]
	if !known || now.created.Equal(before.created) && now.last >= before.last {
		w.seen[name] = now
		return false, nil
	}
	if err := w.bus.repair(ctx); err != nil {
		return false, fmt.Errorf("repair lost stream %s: %w", name, err)
	}
	w.seen[name] = now
	return true, nil
}

func (w *watch) mark(ctx context.Context, suffix string) (streamState, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	s, err := w.bus.js.Stream(ctx, w.bus.stream(suffix))
	if err != nil {
		return streamState{}, err
	}
	info := s.CachedInfo()
	w.bus.measure(suffix, info)
	return streamState{created: info.Created, last: info.State.LastSeq}, nil
}
