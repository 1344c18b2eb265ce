package claimer

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/bustest"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/storetest"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/lanes"
	"windlass.dev/windlass/services/internal/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(storetest.Suite{M: m}) }

func migrate(ctx context.Context, url string) error {
	_, err := store.Migrate(ctx, url)
	return err
}

// newClaimer is one with a database and a bus, whose loops do not run.
func newClaimer(t *testing.T, change ...func(*bus.Config)) *claimer {
	t.Helper()
	return newClaimerAt(t, storetest.Database(t, migrate), change...)
}

func newClaimerAt(t *testing.T, url string, change ...func(*bus.Config)) *claimer {
	t.Helper()
	reg, err := registry.New(registry.File{
		Models: []registry.Model{{Name: "m", Upstream: registry.Upstream{URL: "http://127.0.0.1:1/v1"}, Timeout: time.Minute, Concurrency: 4}},
		Tools:  []registry.Tool{{Name: "t", Description: "d", URL: "http://127.0.0.1:1/t", AllowPrivate: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(store.Config{URL: url, MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(st.Close)
	b := bustest.Connect(t, bustest.Server(t), change...)
	topology := bus.Topology{Lanes: []bus.Lane{{Name: "m", Concurrency: 4}}, Pools: []string{"default"}, ResultsSince: time.Now()}
	if err := b.Ensure(t.Context(), topology); err != nil {
		t.Fatal(err)
	}
	w := &worker.Worker{
		Store: st, Bus: b, Registry: reg, Log: zap.NewNop(), Metrics: process.NewMetrics(prometheus.NewRegistry(), "claimer"),
		Publish: dispatch.Publisher{Bus: b, Key: dispatch.Key("0123456789abcdef")},
	}
	return &claimer{Worker: w, alarm: make(chan struct{}, 1), lanes: lanes.New(b, w.Log, reg.Lanes())}
}

// turnOf accepts and claims one request and publishes its turn.
func turnOf(t *testing.T, c *claimer) store.Row {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	n := store.NewRequest{
		ID: id, Tenant: "default", Endpoint: "responses", Model: "m", Lane: "m", Body: []byte("{}"), Timeout: time.Hour,
	}
	if _, err := c.Store.Accept(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if n, _, err := c.claim(t.Context()); err != nil || n != 1 {
		t.Fatalf("claim = %d, %v, want 1", n, err)
	}
	row, err := c.Store.Look(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return row
}

func TestACommandThatIsNeverDeliveredIsReplaced(t *testing.T) {
	t.Parallel()
	c := newClaimer(t)
	row := turnOf(t, c)
	row.Age = time.Minute + stuckTurn
	if moving := c.freeStuck(t.Context(), []store.Row{row}); len(moving) != 1 {
		t.Fatal("a row at its limit was taken for a stuck one")
	}
	row.Age++
	if moving := c.freeStuck(t.Context(), []store.Row{row}); len(moving) != 0 {
		t.Errorf("a stuck row is among the moving ones: %+v", moving)
	}
	if waiting, _, err := c.Bus.LaneLoad(t.Context(), "m"); err != nil || waiting != 0 {
		t.Errorf("%d commands wait, %v, want the stuck one deleted", waiting, err)
	}
	now, err := c.Store.Look(t.Context(), row.ID)
	if err != nil || now.Attempt != row.Attempt+1 || now.Crashes != 0 {
		t.Errorf("the row is %+v, %v, want one attempt more and no crash counted", now, err)
	}
	if err := c.publishOverdue(t.Context(), []store.Row{now}); err != nil {
		t.Fatal(err)
	}
	wantWaiting(t, c, 1)
}

// wantWaiting waits for a count of the lane's commands: the server acknowledges
// a publish before it counts it.
func wantWaiting(t *testing.T, c *claimer, want int) {
	t.Helper()
	for limit := time.Now().Add(5 * time.Second); ; <-time.After(5 * time.Millisecond) {
		waiting, _, err := c.Bus.LaneLoad(t.Context(), "m")
		if err == nil && waiting == want {
			return
		}
		if err != nil || time.Now().After(limit) {
			t.Fatalf("%d commands wait, %v, want %d", waiting, err, want)
		}
	}
}

func TestALostTurnAlarmsAndALostToolCallDoesNot(t *testing.T) {
	t.Parallel()
	c := newClaimer(t)
	row := turnOf(t, c)
	publish := func(r store.Row) (alarmed bool) {
		t.Helper()
		if err := c.publishOverdue(t.Context(), []store.Row{r}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-c.alarm:
			return true
		default:
			return false
		}
	}
	if publish(row) {
		t.Error("a turn that is still queued was taken for a lost one")
	}
	tools := row
	tools.Stage, tools.Steps = store.StageTools, []store.Step{{Index: 1, Name: "t", Pool: "default", CallID: "c", Attempt: 1}}
	if publish(tools) {
		t.Error("a tool call that was accepted again raised the alarm")
	}
	if err := c.Bus.Purge(t.Context(), dispatch.BusID(row.ID)); err != nil {
		t.Fatal(err)
	}
	if !publish(row) {
		t.Error("a turn that was purged raised no alarm")
	}
}

func TestPatienceDependsOnWhatIsDue(t *testing.T) {
	t.Parallel()
	c := newClaimer(t)
	row := store.Row{Status: store.InProgress, Live: true, Model: "m"}
	for name, tt := range map[string]struct {
		change func(*store.Row)
		want   time.Duration
	}{
		"a turn has its model's timeout":       {func(r *store.Row) { r.Stage = store.StageModel }, time.Minute + stuckTurn},
		"a turn of a model that is gone":       {func(r *store.Row) { r.Stage, r.Model = store.StageModel, "x" }, stuckTurn},
		"tools have the longest tool's":        {func(r *store.Row) { r.Stage, r.Steps = store.StageTools, []store.Step{{Name: "t"}, {Name: "x"}} }, time.Minute + stuckTool},
		"a parked turn waits as long as it is": {func(r *store.Row) { r.Stage, r.DueIn = store.StageModel, time.Second }, 1<<63 - 1},
		"a final is only repeated":             {func(r *store.Row) { r.Stage = store.StageSettle }, 1<<63 - 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := row
			tt.change(&r)
			if got := c.patience(r); got != tt.want {
				t.Errorf("patience = %s, want %s", got, tt.want)
			}
		})
	}
}

func TestClaimStopsAtTheLanesFreeSlots(t *testing.T) {
	t.Parallel()
	c := newClaimer(t)
	for range 10 {
		n := store.NewRequest{
			ID: uuid.Must(uuid.NewV7()), Tenant: "default", Endpoint: "responses", Model: "m", Lane: "m", Body: []byte("{}"), Timeout: time.Hour,
		}
		if _, err := c.Store.Accept(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	if n, _, err := c.claim(t.Context()); err != nil || n != 6 { // 4 slots and half as many to wait for them
		t.Errorf("claim = %d, %v, want 6", n, err)
	}
	for limit := time.Now().Add(5 * time.Second); time.Now().Before(limit); { // the server acknowledges first and counts then
		if n, _, err := c.Bus.LaneLoad(t.Context(), "m"); err != nil || n == 6 {
			break
		}
	}
	if n, saturated, err := c.claim(t.Context()); err != nil || n != 0 || !saturated {
		t.Errorf("a second claim = %d, saturated %v, %v, want none of a full lane", n, saturated, err)
	}
}
