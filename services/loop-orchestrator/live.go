package looporchestrator

import (
	"context"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/store"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/livestream"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/plan"
)

// flushTime bounds how long a turn's commit waits for its events to be stored. Without them the run goes on, and the stream ends with
// an error.
const flushTime = 5 * time.Second

// teller writes what a streamed turn says to the live stream. A nil teller is that of a turn nobody streams.
type teller struct {
	draft  *plan.Draft
	writer *bus.LiveWriter
	log    *zap.Logger
}

// tell begins to tell a turn: first what its calls before it came to, and, where an earlier attempt may have said something, all that
// was there before. The caller closes the teller.
func (o *orchestrator) tell(ctx context.Context, c store.Chain, s plan.State, d *plan.Draft) *teller {
	if !c.Streamed {
		return nil
	}
	f := store.Fence{ID: c.ID, Epoch: c.Epoch, Turn: c.Turn, Attempt: c.Attempt}
	t := &teller{draft: d, writer: o.Bus.OpenLive(ctx, stepIdentity(f)), log: o.Log.With(zap.String("request_id", dispatch.BusID(c.ID)))}
	t.writer.Write(livestream.Keyed(transcript.Ran(s.Turns))...)
	if c.Turn == 1 || c.Attempt > 1 {
		t.writer.Write(livestream.Snapshot(event.Response("response.in_progress", responses.Response{
			ID: "resp_" + dispatch.BusID(c.ID), Request: s.Request, Status: responses.InProgress,
			CreatedAt: dispatch.CreatedAt(c.ID), Output: transcript.Output(s.Turns),
		}.JSON())))
	}
	t.write(d.Before())
	return t
}

// listen is how the turn is heard; nil for one nobody streams.
func (t *teller) listen() model.Listen {
	if t == nil {
		return nil
	}
	return func(d model.Delta) { t.write(t.draft.Hear(d)) }
}

// end tells the rest of a turn and waits until all of it is stored: an event that a client sees must not be one that a crash takes
// back.
func (t *teller) end(ctx context.Context, rest []event.Event) {
	if t == nil {
		return
	}
	t.write(rest)
	t.writer.Write(livestream.Mark(stepv1.LiveKind_LIVE_KIND_COMPLETE))
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	if err := t.writer.Flush(ctx); err != nil {
		t.log.Warn("turn's events not stored, its stream ends with an error", zap.Error(err))
	}
}

func (t *teller) close() {
	if t != nil {
		t.writer.Close()
	}
}

func (t *teller) write(events []event.Event) {
	for _, e := range events {
		t.writer.Write(livestream.Frame(e, ""))
	}
}

// tellProgress says which hosted calls of streamed requests came to their end. The turn that follows says it again, for readers who
// have missed it.
func (o *orchestrator) tellProgress(all []store.Progress) {
	for _, p := range all {
		turn := p.Turn
		if p.Stage == store.StageModel { // the commit has opened the next one
			turn--
		}
		var said []transcript.Keyed
		for _, place := range p.Done {
			said = append(said, transcript.Progress(p.ID, turn, int(place), false))
		}
		for _, place := range p.Failed {
			said = append(said, transcript.Progress(p.ID, turn, int(place), true))
		}
		if len(said) > 0 {
			o.Bus.Announce(bus.Live(&stepv1.LiveFrames{
				RequestId: dispatch.BusID(p.ID), Epoch: uint32(p.Epoch), Turn: uint32(turn), Attempt: livestream.Settled,
				Frames: livestream.Keyed(said),
			}))
		}
	}
}
