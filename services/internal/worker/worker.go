// Package worker is what claimer, loop-orchestrator and finalizer share: the
// connections to database and bus, the registry, and the rules for errors of
// either.
//
// It promises that an outage is retried in place and costs no attempt of a step
// (loop-orchestrator/internal/turn: TestTransientErrorIsRepeatedInPlace), and
// that any other unexpected error is reported as Unknown, so that the caller
// fails the step with its cause (TestUnknownErrorFailsTheStep in the same
// package). It does not bound an outage: RetryOutage ends with its context.
package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/services/internal/dispatch"
)

// awayTimeout bounds a look for a lost database.
const awayTimeout = 2 * time.Second

// Worker is safe for concurrent use.
type Worker struct {
	DB       *postgres.DB
	Store    *store.Store
	Bus      *bus.Bus
	Publish  dispatch.Publisher
	Registry *registry.Registry
	Log      *zap.Logger
	Metrics  *process.Metrics

	throttle   throttle
	unregister func() // nil: the gauge of the database is not registered
}

// Open connects a service and creates or repairs the streams and consumers. It
// waits for a database or a bus that is unavailable.
func Open(ctx context.Context, service string, cfg Config) (*Worker, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("check the configuration: %w", err)
	}
	reg := cfg.Registry
	if reg == nil {
		var err error
		if reg, err = registry.Load(cfg.RegistryFile); err != nil {
			return nil, err
		}
	}
	log := cfg.Runtime.Log
	cfg.Store.Log = log
	db, err := postgres.Open(cfg.Store)
	if err != nil {
		return nil, err
	}
	b, err := bus.Connect(ctx, cfg.Bus, service, log, bus.WithMetrics(cfg.Runtime.Metrics))
	if err != nil {
		db.Close()
		return nil, err
	}
	w := &Worker{
		DB: db, Store: store.New(db), Bus: b, Registry: reg, Log: log,
		Publish: dispatch.Publisher{Bus: b, Key: dispatch.Key(cfg.DispatchKey)},
		Metrics: process.NewMetrics(cfg.Runtime.Metrics, service),
	}
	if err := w.ensureTopology(ctx); err != nil {
		w.Close(ctx)
		return nil, err
	}
	w.unregister = cfg.Runtime.DatabaseUp(db.Up)
	cfg.Runtime.Health.Check(service+".postgres", db.Ping)
	cfg.Runtime.Health.Check(service+".nats", b.Ready)
	return w, nil
}

func (w *Worker) ensureTopology(ctx context.Context) error {
	age, err := Retry(ctx, w, w.Store.OldestLiveAge)
	if err != nil {
		return fmt.Errorf("read the oldest live request: %w", err)
	}
	topology := bus.Topology{Pools: w.Registry.Pools(), ResultsSince: time.Now().Add(-age - time.Minute)}
	for _, l := range w.Registry.Lanes() {
		topology.Lanes = append(topology.Lanes, bus.Lane{Name: l.Name, Concurrency: l.Concurrency})
	}
	return w.Bus.Ensure(ctx, topology)
}

// Away reports whether the database was lost and is still not reached. A worker
// that is cut off leaves new work to those that are not.
func (w *Worker) Away(ctx context.Context) bool {
	if w.DB.Up() {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, awayTimeout)
	defer cancel()
	return w.DB.Ping(ctx) != nil
}

// Close closes the connections; every handler must have returned.
func (w *Worker) Close(ctx context.Context) {
	w.Bus.Close(context.WithoutCancel(ctx))
	if w.unregister != nil {
		w.unregister()
	}
	w.DB.Close()
}

// Dispatch publishes what committed rows need, and retries while the bus is
// unavailable. What a full stream refuses is left to the sweep: a handler that
// waited for room would hold its slot and stop work that does not need the
// stream.
func (w *Worker) Dispatch(ctx context.Context, repeat bool, rows ...run.Row) error {
	err := w.RetryOutage(ctx, func(ctx context.Context) error {
		_, err := w.Publish.Publish(ctx, repeat, rows...)
		repeat = true // what was published with an error may have arrived
		return err
	})
	if errors.Is(err, bus.ErrFull) {
		w.Log.Warn("stream is full, commands are left to the sweep", zap.Error(err))
		return nil
	}
	return err
}

// PublishDue publishes what a row needs now, as the answer to a command that
// the row does not wait for: the worker that moved the row may have died before
// it published. It returns consume.ErrStale once it has.
func (w *Worker) PublishDue(ctx context.Context, row run.Row) error {
	if err := w.Dispatch(ctx, true, row); err != nil {
		return err
	}
	return consume.ErrStale
}

// CatchUp reads a request's row and publishes what it needs now; see
// PublishDue.
func (w *Worker) CatchUp(ctx context.Context, id uuid.UUID) error {
	row, err := w.Look(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return consume.ErrStale
	}
	if err != nil {
		return err
	}
	return w.PublishDue(ctx, row)
}

// Look reads a request's row.
func (w *Worker) Look(ctx context.Context, id uuid.UUID) (run.Row, error) {
	return Retry(ctx, w, func(ctx context.Context) (run.Row, error) { return w.Store.Look(ctx, id) })
}
