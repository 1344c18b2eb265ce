package toolrunner

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/registry"
)

// Config is what a tool-runner can be told.
type Config struct {
	Bus bus.Config
	// RegistryFile is the path of the registry. Unused when Registry is set.
	RegistryFile string `env:"WINDLASS_REGISTRY"`
	// Pools to serve, by default all of the registry.
	Pools []string `env:"WINDLASS_POOLS"`
	// Slots is the number of calls at the same time, for each pool.
	Slots int `env:"WINDLASS_TOOL_SLOTS, default=64"`
	// Grace is how long calls may go on after a drain began. It ends before the process's own.
	Grace time.Duration `env:"WINDLASS_TOOL_GRACE, default=18s"`

	// Registry, if set, is used in place of the file.
	Registry *registry.Registry `env:"-"`
	// Runtime is the process it runs in.
	Runtime *process.Runtime `env:"-"`
}

// Validate reports every fault of c. That a registry was named is checked by Run, which may have been given one.
func (c *Config) Validate() error {
	errs := []error{c.Bus.Validate()}
	if slices.Contains(c.Pools, "") {
		errs = append(errs, errors.New("WINDLASS_POOLS has an empty name"))
	}
	if c.Slots < 1 {
		errs = append(errs, fmt.Errorf("WINDLASS_TOOL_SLOTS is %d, want at least 1", c.Slots))
	}
	if c.Grace < 0 {
		errs = append(errs, fmt.Errorf("WINDLASS_TOOL_GRACE is %v, want none negative", c.Grace))
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
