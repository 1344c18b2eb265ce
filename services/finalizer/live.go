package finalizer

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/process/failpoint"
	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/store"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/livestream"
	"windlass.dev/windlass/services/internal/transcript"
)

const (
	// lastWords bounds the storing of what a turn without a successor has left to tell.
	lastWords = 5 * time.Second
	// closings bounds the streams archived at once: each is read and compressed, in a few megabytes.
	closings = 4
	// endings bounds how often a stream is read to its end because somebody still writes to it.
	endings = 20
)

// endLive closes the live stream of a terminal request, keeps it, and takes the row off the sweep and the stream off the bus. It may
// be repeated at any point: the last frame is written once, behind everything that counts, and the first archive stays.
func (f *finalizer) endLive(ctx context.Context, c store.Chain) error {
	select {
	case f.closing <- struct{}{}:
		defer func() { <-f.closing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	id := dispatch.BusID(c.ID)
	if c.Endpoint == store.Responses {
		f.tellRan(ctx, c)
	}
	var archive []byte
	err := f.RetryOutage(ctx, func(ctx context.Context) (err error) {
		archive, err = f.close(ctx, c)
		return err
	})
	if err != nil {
		return err
	}
	failpoint.Hit(failpoint.FinalAfterLast)
	err = f.RetryOutage(ctx, func(ctx context.Context) error {
		if archive == nil {
			return f.Store.Finish(ctx, c.ID)
		}
		return f.Store.Archive(ctx, c.ID, archive)
	})
	if err != nil {
		return err
	}
	failpoint.Hit(failpoint.FinalAfterArchive)
	if err := f.Bus.PurgeLive(ctx, id); err != nil { // the stream's own limit does it otherwise
		f.Log.Info("archived live stream not purged", zap.String("request_id", id), zap.Error(err))
	}
	return nil
}

// tellRan closes the hosted calls of a last turn that no other follows.
func (f *finalizer) tellRan(ctx context.Context, c store.Chain) {
	turns, err := transcript.Turns(c)
	if err != nil { // the answer says so
		return
	}
	ran := transcript.Ran(turns)
	if len(ran) == 0 || len(turns) < c.Turn { // a later turn has begun, and told them
		return
	}
	w := f.Bus.OpenLive(ctx, &stepv1.StepIdentity{
		RequestId: dispatch.BusID(c.ID), Epoch: uint32(c.Epoch), Turn: uint32(c.Turn), Attempt: livestream.Settled,
	})
	defer w.Close()
	w.Write(livestream.Keyed(ran)...)
	ctx, cancel := context.WithTimeout(ctx, lastWords)
	defer cancel()
	if err := w.Flush(ctx); err != nil {
		f.Log.Warn("end of calls not told", zap.String("request_id", dispatch.BusID(c.ID)), zap.Error(err))
	}
}

// close writes the last frame and returns the stream up to it; nil when that has a hole, or is too large to be kept.
func (f *finalizer) close(ctx context.Context, c store.Chain) ([]byte, error) {
	for range endings {
		archive, last, ended, err := f.collect(ctx, c)
		if err != nil || ended {
			return archive, err
		}
		ended, err = f.Bus.EndLive(ctx, &stepv1.LiveFrames{
			RequestId: dispatch.BusID(c.ID), Epoch: uint32(c.Epoch), Turn: uint32(c.Turn), Attempt: livestream.Settled,
			Frames: []*stepv1.LiveFrame{livestream.Mark(stepv1.LiveKind_LIVE_KIND_LAST)},
		}, last)
		if err != nil || ended {
			return archive, err
		}
	}
	return nil, nil // somebody writes without end: the archive of what counts is not to be had
}

// collect reads the stream as it stands. ended: the last frame is there.
func (f *finalizer) collect(ctx context.Context, c store.Chain) (archive []byte, last uint64, ended bool, err error) {
	kept, hole := livestream.NewArchive(), false
	var opened error
	var seq livestream.Sequencer
	keep := func(events []event.Event) error {
		for _, e := range events {
			if err := kept.Add(e); err != nil {
				return err
			}
		}
		return nil
	}
	if c.Endpoint != store.Responses { // its chunks are all there is, and good for nothing but an answer
		seq.Once, hole = true, c.Status != store.Completed
	} else if request, fault := responses.Decode(c.Body); fault == nil {
		opened = keep(livestream.Opening(c.ID, request))
	} else { // ended before it was claimed, and loaded without its body: its stream follows from the row
		hole = true
	}
	last, err = f.Bus.Stored(ctx, dispatch.BusID(c.ID), func(m *stepv1.LiveFrames) error {
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
		return nil, 0, false, err
	}
	done := c.Status == store.Completed || c.Status == store.Incomplete
	if hole || done && !seq.Whole() {
		kept.Discard()
		f.Log.Info("live stream not kept: it has a hole, or never began", zap.String("request_id", dispatch.BusID(c.ID)))
		return nil, last, seq.Ended(), nil
	}
	archive, err = kept.Bytes()
	return archive, last, seq.Ended(), err
}
