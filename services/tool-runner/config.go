package toolrunner

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/internal/isolate"
)

// Config configures a tool-runner.
type Config struct {
	Bus bus.Config
	// RegistryFile is the path of the registry. It is not read if Registry is
	// set.
	RegistryFile string `env:"WINDLASS_REGISTRY"`
	// Pools are the pools to serve, by default all of the registry.
	Pools []string `env:"WINDLASS_POOLS"`
	// Slots bounds the calls of each pool at the same time.
	Slots int `env:"WINDLASS_TOOL_SLOTS, default=64"`
	// Grace is how long calls may continue after a drain began. It is shorter
	// than the grace of the process.
	Grace time.Duration `env:"WINDLASS_TOOL_GRACE, default=18s"`
	// IsolationSlots bounds the processes of suspects at the same time. The
	// program makes Isolate of it.
	IsolationSlots int `env:"WINDLASS_ISOLATION_SLOTS, default=8"`

	// Registry replaces the file if it is set.
	Registry *registry.Registry `env:"-"`
	// Isolate runs suspects. nil: they run like all others, and the death of
	// this process counts against each of its calls.
	Isolate *isolate.Runner `env:"-"`
	// Runtime is the process that it runs in.
	Runtime *process.Runtime `env:"-"`
}

// Validate reports all faults. Run checks that a registry is named, because the
// caller may set one.
func (c *Config) Validate() error {
	errs := []error{c.Bus.Validate()}
	if slices.Contains(c.Pools, "") {
		errs = append(errs, errors.New("WINDLASS_POOLS has an empty name"))
	}
	if c.Slots < 1 {
		errs = append(errs, fmt.Errorf("WINDLASS_TOOL_SLOTS is %d, want at least 1", c.Slots))
	}
	if c.Grace < 0 {
		errs = append(errs, fmt.Errorf("WINDLASS_TOOL_GRACE is %v, want at least 0", c.Grace))
	}
	if c.IsolationSlots < 0 {
		errs = append(errs, fmt.Errorf("WINDLASS_ISOLATION_SLOTS is %d, want at least 0", c.IsolationSlots))
	}
	return errors.Join(errs...)
}

// tools returns the registry and the pools to serve.
func (c *Config) tools() (*registry.Registry, []string, error) {
	tools := c.Registry
	if tools == nil {
		if c.RegistryFile == "" {
			return nil, nil, errors.New("WINDLASS_REGISTRY is empty")
		}
		var err error
		if tools, err = registry.Load(c.RegistryFile); err != nil {
			return nil, nil, fmt.Errorf("load registry: %w", err)
		}
	}
	pools := c.Pools
	if len(pools) == 0 {
		pools = tools.Pools()
	}
	pools = slices.Clone(pools)
	slices.Sort(pools)
	return tools, slices.Compact(pools), nil
}
