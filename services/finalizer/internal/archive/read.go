package archive

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/run"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/livestream"
	"windlass.dev/windlass/services/internal/transcript"
)

// reading is what readStream read.
type reading struct {
	archive []byte // nil if the stream cannot be kept
	last    uint64 // sequence of the last message
	ended   bool   // the last frame is written
	lost    bool   // events of a completed answer are missing
}

// readStream reads a live stream up to its current end.
func (a *Archive) readStream(ctx context.Context, c run.Chain) (reading, error) {
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
	last, err := a.Bus.Stored(ctx, run.Hex(c.ID), func(m *stepv1.LiveFrames) error {
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
	answered := c.Status == run.Completed || c.Status == run.Incomplete
	lost := hole || answered && (!seq.Whole() || seq.WholeTurns() < modelTurns(c))
	if lost || !seq.HasBegun() {
		kept.Discard()
		a.Log.Info("live stream not kept: it has a hole or no beginning", zap.String("request_id", run.Hex(c.ID)))
		return reading{last: last, ended: seq.Ended(), lost: lost}, nil
	}
	archive, err := kept.Bytes()
	if seq.Restarted() {
		archive = livestream.MarkRestarted(archive)
	}
	return reading{archive: archive, last: last, ended: seq.Ended()}, err
}

// modelTurns returns the number of turns that a model has answered.
func modelTurns(c run.Chain) int {
	if c.Endpoint != run.Responses {
		return 1
	}
	turns, err := transcript.Turns(c)
	if err != nil { // the answer reports it
		return 0
	}
	return len(turns)
}

// openReading begins the stream of a request with the events that precede its
// frames. hole reports that the stream cannot be kept.
func openReading(c run.Chain, keep func([]event.Event) error) (seq livestream.Sequencer, hole bool, err error) {
	if c.Endpoint != run.Responses { // only the chunks of a complete answer can be replayed
		seq.Once = true
		return seq, c.Status != run.Completed, nil
	}
	request, fault := responses.Decode(c.Body)
	if fault != nil { // it ended before it was claimed, and was loaded without its body
		return seq, true, nil
	}
	return seq, false, keep(livestream.Opening(c.ID, request))
}
