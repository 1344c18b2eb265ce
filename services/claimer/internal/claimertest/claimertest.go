// Package claimertest gives the tests of the claimer's packages a worker with a
// database and a bus of their own.
package claimertest

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/bustest"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/migrations"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/storetest"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/worker"
)

// Database creates a database and returns its URL.
func Database(t *testing.T) string {
	t.Helper()
	return storetest.Database(t, func(ctx context.Context, url string) error {
		_, err := migrations.Apply(ctx, url)
		return err
	})
}

// Worker returns a worker whose registry has the model m, with four slots and a
// timeout of a minute, and the tool t.
func Worker(t *testing.T, url string, change ...func(*bus.Config)) *worker.Worker {
	t.Helper()
	reg, err := registry.New(registry.File{
		Models: []registry.Model{{
			Name: "m", Upstream: registry.Upstream{URL: "http://127.0.0.1:1/v1"}, Timeout: time.Minute, Concurrency: 4,
		}},
		Tools: []registry.Tool{{Name: "t", Description: "d", URL: "http://127.0.0.1:1/t", AllowPrivate: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	db, err := postgres.Open(postgres.Config{URL: url, MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	st := store.New(db)
	b := bustest.Connect(t, bustest.Server(t), change...)
	topology := bus.Topology{
		Lanes: []bus.Lane{{Name: "m", Concurrency: 4}}, Pools: []string{"default"}, ResultsSince: time.Now(),
	}
	if err := b.Ensure(t.Context(), topology); err != nil {
		t.Fatal(err)
	}
	return &worker.Worker{
		DB: db, Store: st, Bus: b, Registry: reg, Log: zap.NewNop(),
		Metrics: process.NewMetrics(prometheus.NewRegistry(), "claimer"),
		Publish: dispatch.Publisher{Bus: b, Key: dispatch.Key("0123456789abcdef")},
	}
}

// Accept accepts a request for the model m and returns its id.
func Accept(t *testing.T, w *worker.Worker, change ...func(*store.NewRequest)) uuid.UUID {
	t.Helper()
	n := store.NewRequest{
		ID: uuid.Must(uuid.NewV7()), Tenant: "default", Endpoint: "responses", Model: "m", Lane: "m",
		Body: []byte("{}"), Timeout: time.Hour,
	}
	for _, f := range change {
		f(&n)
	}
	if _, err := w.Store.Accept(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	return n.ID
}

// WaitForTurns waits until the lane of the model m counts that many turns that
// wait: the server acknowledges a publish before its consumers count it.
func WaitForTurns(t *testing.T, w *worker.Worker, want int) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); ; <-time.After(5 * time.Millisecond) {
		waiting, _, err := w.Bus.LaneLoad(t.Context(), "m")
		if err == nil && waiting == want {
			return
		}
		if err != nil || time.Now().After(limit) {
			t.Fatalf("%d turns wait, %v, want %d", waiting, err, want)
		}
	}
}

// Claim accepts and claims a request, publishes its turn, and waits until that
// is counted. The lane must be empty before.
func Claim(t *testing.T, w *worker.Worker) run.Row {
	t.Helper()
	id := Accept(t, w)
	rows, err := w.Store.Claim(t.Context(), []store.Slots{{Lane: "m", Free: 1}})
	if err != nil || len(rows) != 1 {
		t.Fatalf("Claim = %d rows, %v, want 1", len(rows), err)
	}
	if _, err := w.Publish.Publish(t.Context(), false, rows...); err != nil {
		t.Fatal(err)
	}
	WaitForTurns(t, w, 1)
	row, err := w.Store.Look(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return row
}
