package worker

import (
	"errors"
	"fmt"
	"time"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/services/internal/dispatch"
)

// Config is read from the environment, except the last two fields, which the
// caller of Run sets.
type Config struct {
	Store postgres.Config
	Bus   bus.Config
	// RegistryFile names the models and tools. It is not read if Registry is
	// set.
	RegistryFile string `env:"WINDLASS_REGISTRY"`
	// DispatchKey signs tool commands. Claimer and loop-orchestrator share it.
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
