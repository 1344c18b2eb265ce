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

// WatchStreams looks at every stream once a second until ctx ends. A stream that is missing, was made anew (its creation
// time changed) or went back (its last sequence fell) is repaired, consumers included, and then reported once by its name;
// whoever is told makes every row in progress due. It returns nil when ctx ends. Losses before its first look go unnoticed.
func (b *Bus) WatchStreams(ctx context.Context, lost func(stream string)) error {
	w := &watch{bus: b, seen: make(map[string]streamMark)}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		for _, s := range b.cfg.streams() {
			gone, err := w.look(ctx, s.Name)
			if err != nil && ctx.Err() == nil {
				b.log.Info("stream could not be looked at", zap.Error(err))
			}
			if gone {
				b.log.Warn("stream was lost and is repaired", zap.String("subject", s.Name))
				lost(s.Name)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// streamMark is what a stream showed at the last look. The zero mark is that of a stream that was missing.
type streamMark struct {
	created time.Time
	last    uint64
}

type watch struct {
	bus  *Bus
	seen map[string]streamMark
}

// look compares a stream with its mark and repairs what it finds. After an error the mark stays, so that the next look finds
// the loss.
func (w *watch) look(ctx context.Context, name string) (lost bool, err error) {
	now, err := w.mark(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if _, known := w.seen[name]; !known {
			w.seen[name] = streamMark{}
		}
		if err := w.bus.repair(ctx); err != nil {
			return false, fmt.Errorf("repair missing stream %s: %w", name, err)
		}
		now, err = w.mark(ctx, name)
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

func (w *watch) mark(ctx context.Context, name string) (streamMark, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	s, err := w.bus.js.Stream(ctx, name)
	if err != nil {
		return streamMark{}, err
	}
	info := s.CachedInfo()
	return streamMark{created: info.Created, last: info.State.LastSeq}, nil
}
