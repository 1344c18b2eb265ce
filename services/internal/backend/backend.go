// Package backend is what claimer, loop-orchestrator and finalizer have in common: a database, a bus, a registry, and the one way
// to publish what a row needs.
package backend

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/dispatch"
)

// Config is read from the environment, but for the last two fields, which the caller of Run sets.
type Config struct {
	Store store.Config
	Bus   bus.Config
	// RegistryFile names the models and tools. Not read when Registry is set.
	RegistryFile string `env:"WINDLASS_REGISTRY"`
	// DispatchKey signs tool commands; the same secret for claimer and loop-orchestrator.
	DispatchKey string `env:"WINDLASS_DISPATCH_KEY"`
	// Grace is how long handlers may go on after the drain began.
	Grace time.Duration `env:"WINDLASS_HANDLER_GRACE, default=20s"`

	Registry *registry.Registry `env:", noinit"`
	Runtime  *process.Runtime   `env:", noinit"`
}

// Validate reports every fault at once.
func (c *Config) Validate() error {
	errs := []error{c.Store.Validate(), c.Bus.Validate()}
	if c.Registry == nil && c.RegistryFile == "" {
		errs = append(errs, errors.New("WINDLASS_REGISTRY is empty"))
	}
	if err := dispatch.Key(c.DispatchKey).Check(); err != nil {
		errs = append(errs, fmt.Errorf("WINDLASS_DISPATCH_KEY: %w", err))
	}
	if c.Grace <= 0 {
		errs = append(errs, fmt.Errorf("WINDLASS_HANDLER_GRACE is %s, want more than 0", c.Grace))
	}
	return errors.Join(errs...)
}

// Backend is safe for concurrent use.
type Backend struct {
	Store    *store.Store
	Bus      *bus.Bus
	Publish  dispatch.Publisher
	Registry *registry.Registry
	Log      *zap.Logger
	Metrics  *process.Metrics

	seldom     seldom
	unregister func() // nil: no metrics of the database are registered
}

// Open connects a service and makes sure that the streams and consumers exist. It waits for a database or a bus that is away.
func Open(ctx context.Context, service string, cfg Config) (*Backend, error) {
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
	st, err := store.Open(cfg.Store)
	if err != nil {
		return nil, err
	}
	b, err := bus.Connect(ctx, cfg.Bus, service, log, bus.WithMetrics(cfg.Runtime.Metrics))
	if err != nil {
		st.Close()
		return nil, err
	}
	be := &Backend{
		Store: st, Bus: b, Registry: reg, Log: log,
		Publish: dispatch.Publisher{Bus: b, Key: dispatch.Key(cfg.DispatchKey)},
		Metrics: process.NewMetrics(cfg.Runtime.Metrics, service),
	}
	if err := be.ensure(ctx); err != nil {
		be.Close(ctx)
		return nil, err
	}
	be.unregister = cfg.Runtime.DatabaseUp(st.Up)
	cfg.Runtime.Health.Check(service+".postgres", st.Ping)
	cfg.Runtime.Health.Check(service+".nats", b.Ready)
	return be, nil
}

func (be *Backend) ensure(ctx context.Context) error {
	var since time.Time
	err := be.Insist(ctx, func(ctx context.Context) (err error) {
		since, err = be.Store.OldestLive(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("read the oldest live request: %w", err)
	}
	topology := bus.Topology{Pools: be.Registry.Pools(), ResultsSince: since.Add(-time.Minute)}
	for _, l := range be.Registry.Lanes() {
		topology.Lanes = append(topology.Lanes, bus.Lane{Name: l.Name, Concurrency: l.Concurrency})
	}
	return be.Bus.Ensure(ctx, topology)
}

// Close ends the connections; every handler must have returned.
func (be *Backend) Close(ctx context.Context) {
	be.Bus.Close(context.WithoutCancel(ctx))
	if be.unregister != nil {
		be.unregister()
	}
	be.Store.Close()
}

// Insist repeats op while the infrastructure is unavailable, with full jitter between 0 and a second, until it answers or ctx ends.
// It returns the last answer of op, success or refusal; an error that does not pass by itself is returned at once. No attempt of a
// step is spent.
func (be *Backend) Insist(ctx context.Context, op func(context.Context) error) error {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err := op(ctx)
		if err == nil || !Unavailable(err) {
			return err
		}
		if be.seldom.due("insist") {
			be.Log.Info("infrastructure unavailable, trying again", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(rand.N(wait) + time.Millisecond):
		}
	}
}

// Dispatch publishes what committed rows need and insists on it while the bus is
// away. What a full stream refuses is left to the sweep, which comes back to the
// rows: a handler that waited for room would hold its slot, and stop work that
// does not need the stream.
func (be *Backend) Dispatch(ctx context.Context, repeat bool, rows ...store.Row) error {
	err := be.Insist(ctx, func(ctx context.Context) error {
		_, err := be.Publish.Publish(ctx, repeat, rows...)
		repeat = true // what was published with an error may have arrived
		return err
	})
	if errors.Is(err, bus.ErrFull) {
		be.Log.Warn("stream is full, commands are left to the sweep", zap.Error(err))
		return nil
	}
	return err
}

// Unavailable reports whether an error means that the database or the bus is unavailable. Such an error passes by itself; every
// other is final.
func Unavailable(err error) bool {
	return !errors.Is(err, bus.ErrTooLarge) && (store.Unavailable(err) || bus.Unavailable(err))
}
