package archive

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/bustest"
	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/pkg/store/migrations"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/storetest"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/livestream"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/internal/worker"
)

func TestMain(m *testing.M) {
	// pgxpool's health check ends a moment after Close returned.
	goleak.VerifyTestMain(storetest.Suite{M: m},
		goleak.IgnoreAnyFunction("github.com/jackc/pgx/v5/pgxpool.(*Pool).backgroundHealthCheck"))
}

// stand is an archive with a database and a bus of its own, and a streamed
// response whose model has answered in one turn.
type stand struct {
	*Archive

	answers *answers.Store
	row     run.Row
}

func setUp(t *testing.T) *stand {
	t.Helper()
	url := storetest.Database(t, func(ctx context.Context, url string) error {
		_, err := migrations.Apply(ctx, url)
		return err
	})
	db, err := postgres.Open(postgres.Config{URL: url, MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	b := bustest.Connect(t, bustest.Server(t))
	if err := b.Ensure(t.Context(), bus.Topology{Lanes: []bus.Lane{{Name: "m", Concurrency: 4}}}); err != nil {
		t.Fatal(err)
	}
	st := store.New(db)
	s := &stand{
		Archive: New(&worker.Worker{DB: db, Store: st, Bus: b, Log: zap.NewNop()}), answers: answers.New(db),
	}
	a, err := st.Accept(t.Context(), store.NewRequest{
		ID: uuid.Must(uuid.NewV7()), Tenant: "default", Endpoint: run.Responses, Model: "m", Lane: "m", Streamed: true,
		Body: []byte(`{"model":"m","input":"hello","stream":true}`), Timeout: time.Hour, Admit: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.row = a.Row
	return s
}

func (s *stand) exec(t *testing.T, sql string) {
	t.Helper()
	if _, err := s.DB.Exec(t.Context(), sql, postgres.Args{}); err != nil {
		t.Fatal(err)
	}
}

// write writes frames as the turn's attempt.
func (s *stand) write(t *testing.T, frames ...*stepv1.LiveFrame) {
	t.Helper()
	w := s.Bus.OpenLive(t.Context(), &stepv1.StepIdentity{
		RequestId: run.Hex(s.row.ID), Epoch: uint32(s.row.Epoch), Turn: uint32(s.row.Turn), Attempt: uint32(s.row.Attempt),
	})
	defer w.Close()
	w.Write(frames...)
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// commit commits the turn with one message as its output.
func (s *stand) commit(t *testing.T, outcome run.Status) {
	t.Helper()
	output, err := transcript.Record{Items: []item.Item{item.UserText("hi")}}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	s.row, err = s.Store.CommitTurn(t.Context(), s.row, run.TurnCommit{
		Fence:   run.Fence{ID: s.row.ID, Epoch: s.row.Epoch, Turn: s.row.Turn, Attempt: s.row.Attempt},
		Outcome: outcome, Output: output,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// settle settles the response and returns the chain whose stream is closed
// next.
func (s *stand) settle(t *testing.T) run.Chain {
	t.Helper()
	err := s.Store.Settle(t.Context(), store.Settlement{
		ID: s.row.ID, Tenant: "default", Epoch: s.row.Epoch, Status: run.Completed, Answer: []byte(`{}`), AfterWork: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Store.Load(t.Context(), s.row.ID)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// archived returns the types of the archived events; nil if there is no
// archive.
func (s *stand) archived(t *testing.T) (types []string) {
	t.Helper()
	data, err := s.answers.Events(t.Context(), "default", s.row.ID)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err == nil {
		err = livestream.Read(data, func(e event.Event) error { types = append(types, e.Type); return nil })
	}
	if err != nil {
		t.Fatal(err)
	}
	return types
}

var (
	begin    = livestream.Snapshot(event.Event{Type: "begin", Data: []byte(`"a":1`)})
	delta    = livestream.Frame(event.Event{Type: "delta", Data: []byte(`"a":1`)}, "")
	complete = livestream.Mark(stepv1.LiveKind_LIVE_KIND_COMPLETE)
)

// TestAStreamIsKeptUntilItIsArchived lets the commit of the archive fail, as a
// crash before it does: what is closed again finds the whole stream.
func TestAStreamIsKeptUntilItIsArchived(t *testing.T) {
	t.Parallel()
	s := setUp(t)
	s.write(t, begin, delta, complete)
	s.commit(t, run.Completed)
	c := s.settle(t)
	s.exec(t, `ALTER TABLE bodies ADD CONSTRAINT refuse CHECK (kind <> 'events')`)
	if err := s.Close(t.Context(), c); err == nil {
		t.Fatal("Close = nil, want the error of the commit")
	}
	s.exec(t, `ALTER TABLE bodies DROP CONSTRAINT refuse`)
	if err := s.Close(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"response.created", "begin", "delta"}, s.archived(t)); diff != "" {
		t.Errorf("archived events (-want +got):\n%s", diff)
	}
	if empty, err := s.Bus.LiveIsEmpty(t.Context(), run.Hex(c.ID)); err != nil || !empty {
		t.Errorf("LiveIsEmpty after Close = %t, %v; want true", empty, err)
	}
}

// TestAStreamThatLostItsLastTurnIsNotWhole closes a stream whose frames show no
// hole: those of the last turn are missing from its first on.
func TestAStreamThatLostItsLastTurnIsNotWhole(t *testing.T) {
	t.Parallel()
	s := setUp(t)
	s.write(t, begin, delta, complete)
	s.commit(t, "")
	s.commit(t, run.Completed)
	c := s.settle(t)
	reader, err := s.Bus.ReadLive(run.Hex(c.ID))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := reader.Backfill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if got := s.archived(t); got != nil {
		t.Errorf("archived events = %v, want no archive", got)
	}
	var seq livestream.Sequencer
	for !seq.Ended() {
		m, err := reader.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := seq.Take(m); err != nil {
			t.Fatal(err)
		}
	}
	if seq.Whole() {
		t.Error("a reader takes the stream for whole")
	}
}
