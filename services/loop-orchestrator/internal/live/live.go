// Package live writes the events of streamed requests to their live streams.
//
// It promises that a turn's events are stored before the turn is committed, so
// that a client never sees an event that a crash takes back (test/e2e:
// TestStreamsOverKills). It does not promise that they are stored at all:
// without them the run goes on, and the stream ends with an error
// (test/behaviour: TestF35LiveFramesAtTheirLimit).
package live

import (
	"context"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus/live"
	"windlass.dev/windlass/pkg/bus/message"
	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/livestream"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/internal/worker"
)

// flushTime bounds how long a turn's commit waits for its events to be stored.
const flushTime = 5 * time.Second

// Streams opens the live streams of requests. Safe for concurrent use.
type Streams struct {
	Worker *worker.Worker
}

// Writer writes the frames of one turn's attempt. A nil Writer discards them:
// it is the writer of a request that is not streamed.
type Writer struct {
	frames *live.Writer
	log    *zap.Logger
}

// Open returns the writer of the chain's attempt, or nil if the request is not
// streamed. The caller closes it.
func (s Streams) Open(ctx context.Context, c run.Chain) *Writer {
	if !c.Streamed {
		return nil
	}
	w := &Writer{
		frames: s.Worker.Bus.OpenLive(ctx, dispatch.Identity(c.Fence())),
		log:    s.Worker.Log.With(zap.String("request_id", run.Hex(c.ID))),
	}
	if s.restarts(ctx, c) {
		w.frames.Restart()
	}
	return w
}

// restarts reports whether the numbers of the stream's events begin again: an
// attempt before this one wrote its first event before it did anything else,
// and that is not there any more. Later turns need no mark: a stream that
// begins with them is seen to be incomplete.
func (s Streams) restarts(ctx context.Context, c run.Chain) bool {
	if c.Endpoint != run.Responses || c.Turn != 1 || c.Attempt == 1 && c.Epoch == 1 {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	empty, err := worker.Retry(ctx, s.Worker, func(ctx context.Context) (bool, error) {
		return s.Worker.Bus.LiveIsEmpty(ctx, run.Hex(c.ID))
	})
	return empty || err != nil
}

// Started reports whether an earlier attempt has written anything.
func (s Streams) Started(ctx context.Context, c run.Chain) (bool, error) {
	if c.Attempt == 1 {
		return false, nil
	}
	empty, err := worker.Retry(ctx, s.Worker, func(ctx context.Context) (bool, error) {
		return s.Worker.Bus.LiveIsEmpty(ctx, run.Hex(c.ID))
	})
	return !empty, err
}

// Write queues frames.
func (w *Writer) Write(frames ...*stepv1.LiveFrame) {
	if w != nil {
		w.frames.Write(frames...)
	}
}

// WriteEvents queues a frame for each event.
func (w *Writer) WriteEvents(events []event.Event) {
	if w == nil {
		return
	}
	for _, e := range events {
		w.frames.Write(livestream.Frame(e, ""))
	}
}

// Complete marks the end of the turn's model call and waits until everything
// written is stored.
func (w *Writer) Complete(ctx context.Context) {
	if w == nil {
		return
	}
	w.frames.Write(livestream.Mark(stepv1.LiveKind_LIVE_KIND_COMPLETE))
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	if err := w.frames.Flush(ctx); err != nil {
		w.log.Warn("turn's events not stored, its stream ends with an error", zap.Error(err))
	}
}

// Close waits for the writer's goroutine.
func (w *Writer) Close() {
	if w != nil {
		w.frames.Close()
	}
}

// AnnounceCalls writes the events of hosted calls that ended. The next turn
// writes them again, for readers that missed them; readers take the first.
func (s Streams) AnnounceCalls(all []store.Progress) {
	for _, p := range all {
		turn := p.Turn
		if p.Stage == run.StageModel { // the commit has opened the next one
			turn--
		}
		var ended []transcript.Keyed
		for _, place := range p.Done {
			ended = append(ended, transcript.Progress(p.ID, turn, int(place), false))
		}
		for _, place := range p.Failed {
			ended = append(ended, transcript.Progress(p.ID, turn, int(place), true))
		}
		if len(ended) > 0 {
			s.Worker.Bus.Announce(message.Live(&stepv1.LiveFrames{
				RequestId: run.Hex(p.ID), Epoch: uint32(p.Epoch), Turn: uint32(turn), Attempt: livestream.Settled,
				Frames: livestream.Keyed(ended),
			}))
		}
	}
}
