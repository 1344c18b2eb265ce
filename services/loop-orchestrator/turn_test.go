package looporchestrator

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/bustest"
	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/migrations"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/storetest"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/compaction"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/worker"
	"windlass.dev/windlass/services/loop-orchestrator/internal/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(storetest.Suite{M: m}) }

func migrate(ctx context.Context, url string) error {
	_, err := migrations.Apply(ctx, url)
	return err
}

// stand is an orchestrator with a database, a bus and a model. Its tests hand
// it the deliveries.
type stand struct {
	*orchestrator
	broker *server.Server
	calls  atomic.Int32      // of the model
	see    func(body []byte) // what the model is sent, if anybody looks
	answer http.HandlerFunc

	database string // its URL
	metrics  *prometheus.Registry
}

// jetStream is a connection of the test's own.
func (s *stand) jetStream(t *testing.T) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(s.broker))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func newStand(t *testing.T) *stand {
	t.Helper()
	s := &stand{broker: bustest.Server(t), metrics: prometheus.NewRegistry()}
	model := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.calls.Add(1)
		body, _ := io.ReadAll(r.Body) // net/http sees a client leave only once the body was read
		if s.see != nil {
			s.see(body)
		}
		s.answer(w, r)
	}))
	t.Cleanup(model.Close)
	s.answer = func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}`))
	}
	reg, err := registry.New(registry.File{Models: []registry.Model{{Name: "m", Upstream: registry.Upstream{URL: model.URL}}}})
	if err != nil {
		t.Fatal(err)
	}
	s.database = storetest.Database(t, migrate)
	db, err := postgres.Open(postgres.Config{URL: s.database, MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	st := store.New(db)
	b := bustest.Connect(t, s.broker)
	if err := b.Ensure(t.Context(), bus.Topology{Lanes: []bus.Lane{{Name: "m", Concurrency: 4}}, ResultsSince: time.Now()}); err != nil {
		t.Fatal(err)
	}
	w := &worker.Worker{
		DB: db, Store: st, Bus: b, Registry: reg, Log: zap.NewNop(), Metrics: process.NewMetrics(s.metrics, "test"),
		Publish: dispatch.Publisher{Bus: b, Key: dispatch.Key("0123456789abcdef")},
	}
	client := newModelClient(4)
	t.Cleanup(client.CloseIdleConnections)
	s.orchestrator = newOrchestrator(w, compaction.Keys{}, upstream.Client{HTTP: client})
	return s
}

// claimed is a request whose first turn is due, not yet published.
func (s *stand) claimed(t *testing.T, change ...func(*store.NewRequest)) run.Row {
	t.Helper()
	n := store.NewRequest{
		ID: uuid.Must(uuid.NewV7()), Tenant: "default", Endpoint: "responses", Model: "m", Lane: "m",
		Body: []byte(`{"model":"m","input":"hello"}`), Timeout: time.Hour,
	}
	for _, c := range change {
		c(&n)
	}
	n.Admit = true
	a, err := s.Store.Accept(t.Context(), n)
	if err != nil || a.Row.Status != run.InProgress {
		t.Fatalf("Accept = %+v, %v", a, err)
	}
	return a.Row
}

func (s *stand) look(t *testing.T, id uuid.UUID) run.Row {
	t.Helper()
	row, err := s.Store.Look(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return row
}

// deliver hands over the row's turn command.
func (s *stand) deliver(ctx context.Context, row run.Row, delivered int, repeat bool) error {
	return s.turns.Handle(ctx, consume.Delivery{Delivered: delivered, Turn: &stepv1.TurnCommand{
		Lane: row.Lane, Repeat: repeat, Identity: dispatch.Identity(run.Fence{ID: row.ID, Epoch: row.Epoch, Turn: row.Turn, Attempt: row.Attempt}),
	}})
}

// waiting is the number of turn commands in the lane's queue, once there is
// one: the server acknowledges first and counts then.
func (s *stand) waiting(t *testing.T) int {
	t.Helper()
	for limit := time.Now().Add(5 * time.Second); ; {
		n, _, err := s.Bus.LaneLoad(t.Context(), "m")
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 || time.Now().After(limit) {
			return n
		}
	}
}

func TestAFirstDeliveryCallsTheModelAndCommits(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	row := s.claimed(t)
	if err := s.deliver(t.Context(), row, 1, false); err != nil {
		t.Fatal(err)
	}
	if got := s.look(t, row.ID); got.Stage != run.StageSettle || got.Outcome != run.Completed || s.calls.Load() != 1 {
		t.Errorf("the row is %+v after %d calls, want it decided after one", got, s.calls.Load())
	}
	if err := s.deliver(t.Context(), row, 2, false); err != nil && err != consume.ErrStale { //nolint:errorlint // it is returned bare
		t.Errorf("a redelivery of a turn that is over = %v", err)
	}
	if s.calls.Load() != 1 {
		t.Errorf("the model was called %d times, want once", s.calls.Load())
	}
}

// TestF31ATurnOfALaterVersionIsLeft holds that a request of an endpoint that
// this version does not know neither fails nor reaches the model: it stays due.
func TestF31ATurnOfALaterVersionIsLeft(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	row := s.claimed(t, func(n *store.NewRequest) { n.Endpoint = "sketches" })
	var left *consume.Handled
	if err := s.deliver(t.Context(), row, 1, false); !errors.As(err, &left) || left.Outcome != "left" {
		t.Errorf("the outcome is %v, want left", err)
	}
	got := s.look(t, row.ID)
	if got.Status != run.InProgress || got.Next() != run.RunTurn || got.Attempt != row.Attempt || s.calls.Load() != 0 {
		t.Errorf("the row is %+v after %d calls, want it due as before", got, s.calls.Load())
	}
}

func TestATakerOfARedeliveredTurnRaisesItFirst(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		delivered   int
		repeat      bool
		wantCrashes int
	}{
		"redelivered": {2, false, 1},
		"a repeat":    {1, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStand(t)
			s.turns.Isolate = func(context.Context, *stepv1.TurnCommand) error { return errors.New("not called") }
			row := s.claimed(t)
			if err := s.deliver(t.Context(), row, tt.delivered, tt.repeat); err != nil {
				t.Fatal(err)
			}
			got := s.look(t, row.ID)
			if got.Attempt != row.Attempt+1 || got.Crashes != tt.wantCrashes || s.calls.Load() != 0 || s.waiting(t) != 1 {
				t.Errorf("attempt %d, %d crashes, %d calls, %d commands; want one attempt more, %d crashes, no call, one command",
					got.Attempt, got.Crashes, s.calls.Load(), s.waiting(t), tt.wantCrashes)
			}
			if err := s.deliver(t.Context(), row, 3, false); err != consume.ErrStale { //nolint:errorlint // it is returned bare
				t.Errorf("the old command once more = %v, want stale", err)
			}
			if err := s.deliver(t.Context(), got, 1, false); err != nil || s.look(t, row.ID).Stage != run.StageSettle {
				t.Errorf("the new command = %v, row %+v, want it committed", err, s.look(t, row.ID))
			}
		})
	}
}

func TestADrainingOrchestratorHandsItsTurnOver(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	s.answer = func(_ http.ResponseWriter, r *http.Request) {
		cancel(consume.ErrDraining) // the grace is over during the call
		<-r.Context().Done()
	}
	row := s.claimed(t)
	if err := s.deliver(ctx, row, 1, false); err != nil {
		t.Fatalf("turn = %v, want it acknowledged: another command has taken its place", err)
	}
	if got := s.look(t, row.ID); got.Attempt != row.Attempt+1 || got.Crashes != 0 || s.waiting(t) != 1 {
		t.Errorf("attempt %d, %d crashes, %d commands; want one attempt more, no crash, one command", got.Attempt, got.Crashes, s.waiting(t))
	}
}

func TestACancelledTurnCommitsNothing(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	row := s.claimed(t)
	s.answer = func(w http.ResponseWriter, r *http.Request) {
		err := s.Store.Settle(r.Context(), store.Settlement{ID: row.ID, Tenant: "default", Status: run.Cancelled, AfterWork: true})
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write([]byte(`{"choices":[{"message":{"content":"too late"},"finish_reason":"stop"}]}`))
	}
	if err := s.deliver(t.Context(), row, 1, false); err != consume.ErrStale { //nolint:errorlint // it is returned bare
		t.Errorf("turn = %v, want stale", err)
	}
	got := s.look(t, row.ID)
	if got.Status != run.Cancelled || got.Outcome != "" {
		t.Errorf("the row is %+v, want it cancelled and no more", got)
	}
}

func TestARequestWithoutItsHistoryFailsUnasked(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	row := s.claimed(t, func(n *store.NewRequest) { n.Parent = uuid.New() }) // deleted since the accept
	if err := s.deliver(t.Context(), row, 1, false); err != nil {
		t.Fatal(err)
	}
	if got := s.look(t, row.ID); got.Outcome != run.Failed || got.Reason != "previous_response_not_found" || s.calls.Load() != 0 {
		t.Errorf("the row is to be %q by %q after %d calls, want failed by previous_response_not_found after none",
			got.Outcome, got.Reason, s.calls.Load())
	}
}

func TestTheRequestIsDecodedOnce(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.answer = func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"choices":[{"message":{"tool_calls":[{"id":"c","type":"function","function":{"name":"gone"}}]},` +
			`"finish_reason":"tool_calls"}]}`))
	}
	row := s.claimed(t)
	for turn := 1; turn <= 2; turn++ { // the call is refused, so another turn follows
		if err := s.deliver(t.Context(), s.look(t, row.ID), 1, false); err != nil {
			t.Fatal(err)
		}
		c, err := s.Store.Load(t.Context(), row.ID)
		if err != nil || c.Turn != turn+1 {
			t.Fatalf("Load = turn %d, %v; want turn %d", c.Turn, err, turn+1)
		}
		first, _ := s.caller.Lineage.Memo.Request(c)
		if again, _ := s.caller.Lineage.Memo.Request(c); again != first {
			t.Errorf("the request is decoded again for turn %d", c.Turn)
		}
	}
}
