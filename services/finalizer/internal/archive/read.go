package archive

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/store"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/livestream"
)

// reading is what readStream read.
type reading struct {
	archive []byte // nil if the stream cannot be kept
	last    uint64 // sequence of the last message
	ended   bool   // the last frame is written
}

// readStream reads a live stream up to its current end.
func (a *Archive) readStream(ctx context.Context, c store.Chain) (reading, error) {
	kept := livestream.NewArchive()
	keep := func(events []event.Event) error {
		for _, e := range events {
			if err := kept.Add(e); err != nil {
				return err
			}
		}
		return nil
	}
	seq, hole, opened := openReading(c, keep)
	last, err := a.Bus.Stored(ctx, dispatch.BusID(c.ID), func(m *stepv1.LiveFrames) error {
		events, err := seq.Take(m)
		if err == nil && !hole {
			err = keep(events)
		}
		if errors.Is(err, livestream.ErrLost) || errors.Is(err, livestream.ErrTooLarge) {
			hole, err = true, nil
		}
		return err
	})
	if err = errors.Join(opened, err); err != nil {
		kept.Discard()
		return reading{}, err
	}
	answered := c.Status == store.Completed || c.Status == store.Incomplete
	if hole || answered && !seq.Whole() {
		kept.Discard()
		a.Log.Info("live stream not kept: it has a hole or no beginning", zap.String("request_id", dispatch.BusID(c.ID)))
		return reading{last: last, ended: seq.Ended()}, nil
	}
	archive, err := kept.Bytes()
	return reading{archive: archive, last: last, ended: seq.Ended()}, err
}

// openReading begins the stream of a request with the events that precede its
// frames. hole reports that the stream cannot be kept.
func openReading(c store.Chain, keep func([]event.Event) error) (seq livestream.Sequencer, hole bool, err error) {
	if c.Endpoint != store.Responses { // only the chunks of a complete answer can be replayed
		seq.Once = true
		return seq, c.Status != store.Completed, nil
	}
	request, fault := responses.Decode(c.Body)
	if fault != nil { // it ended before it was claimed, and was loaded without its body
		return seq, true, nil
	}
	return seq, false, keep(livestream.Opening(c.ID, request))
}
