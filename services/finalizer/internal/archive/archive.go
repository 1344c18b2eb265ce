// Package archive closes the live streams of ended requests and keeps them in
// the database, so that they can be replayed after the bus has dropped them.
//
// Closing may be repeated at any point: the last frame is written once, behind
// all frames that count, and the first archive stays. A stream is archived
// before it is deleted (TestAStreamIsKeptUntilItIsArchived). A stream with a
// hole, or one that is too large, is not kept; a replay is then built from the
// row. Its last frame says that it has lost events, so that no reader takes it
// for whole (TestAStreamThatLostItsLastTurnIsNotWhole).
package archive

import (
	"context"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/process/failpoint"
	"windlass.dev/windlass/pkg/run"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/livestream"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/internal/worker"
)

const (
	// flushTimeout bounds how long Close waits until its own frames are stored.
	flushTimeout = 5 * time.Second
	// maxClosing bounds the streams that are closed at once, because each is
	// read and compressed in a few megabytes of memory.
	maxClosing = 4
	// maxReads bounds how often Close reads a stream to which a worker still
	// writes.
	maxReads = 20
)

// Archive is safe for concurrent use.
type Archive struct {
	*worker.Worker
	closing chan struct{} // a token for each stream that is being closed
}

// New returns an archive.
func New(w *worker.Worker) *Archive {
	return &Archive{Worker: w, closing: make(chan struct{}, maxClosing)}
}

// Close closes the live stream of a terminal request, archives it, takes the
// row off the sweep, and deletes the stream from the bus.
func (a *Archive) Close(ctx context.Context, c run.Chain) error {
	select {
	case a.closing <- struct{}{}:
		defer func() { <-a.closing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if c.Endpoint == run.Responses {
		a.closeCalls(ctx, c)
	}
	archive, err := worker.Retry(ctx, a.Worker, func(ctx context.Context) ([]byte, error) {
		return a.closeStream(ctx, c)
	})
	if err != nil {
		return err
	}
	failpoint.Hit(failpoint.FinalAfterLast)
	err = a.RetryOutage(ctx, func(ctx context.Context) error {
		if archive == nil {
			return a.Store.Finish(ctx, c.ID)
		}
		return a.Store.Archive(ctx, c.ID, archive)
	})
	if err != nil {
		return err
	}
	failpoint.Hit(failpoint.FinalAfterArchive)
	id := run.Hex(c.ID)
	if err := a.Bus.PurgeLive(ctx, id); err != nil { // the stream's own limit deletes it later
		a.Log.Info("archived live stream not purged", zap.String("request_id", id), zap.Error(err))
	}
	return nil
}

// closeCalls writes the last events of the hosted calls of a turn that no other
// turn follows.
func (a *Archive) closeCalls(ctx context.Context, c run.Chain) {
	turns, err := transcript.Turns(c)
	if err != nil { // the answer reports it
		return
	}
	events := transcript.Ran(turns)
	if len(events) == 0 || len(turns) < c.Turn { // a later turn has begun and wrote them
		return
	}
	w := a.Bus.OpenLive(ctx, &stepv1.StepIdentity{
		RequestId: run.Hex(c.ID), Epoch: uint32(c.Epoch), Turn: uint32(c.Turn), Attempt: livestream.Settled,
	})
	defer w.Close()
	w.Write(livestream.Keyed(events)...)
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	if err := w.Flush(ctx); err != nil {
		a.Log.Warn("last events of calls not stored", zap.String("request_id", run.Hex(c.ID)), zap.Error(err))
	}
}

// closeStream writes the last frame and returns the stream up to it. It returns
// nil if the stream cannot be kept.
func (a *Archive) closeStream(ctx context.Context, c run.Chain) ([]byte, error) {
	for range maxReads {
		r, err := a.readStream(ctx, c)
		if err != nil || r.ended {
			return r.archive, err
		}
		ended, err := a.Bus.EndLive(ctx, &stepv1.LiveFrames{
			RequestId: run.Hex(c.ID), Epoch: uint32(c.Epoch), Turn: uint32(c.Turn), Attempt: livestream.Settled,
			Frames: []*stepv1.LiveFrame{livestream.Last(!r.lost)},
		}, r.last)
		if err != nil || ended {
			return r.archive, err
		}
	}
	return nil, nil // a worker writes without end
}
