package bench

import (
	"errors"
	"fmt"
	"io"
	"time"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/bench/internal/load"
	"windlass.dev/windlass/services/bench/internal/scenario"
	"windlass.dev/windlass/services/bench/internal/stack"
)

// Config says what to measure.
type Config struct {
	Scenarios   []string // B1, B2, B3
	Concurrency []int
	Runs        int           // of each cell; 0: as many as there is time for
	Time        time.Duration // of each cell; also bounds Runs
	Think       time.Duration // of the model before it answers
	Dialect     string        // of the model's upstream, as a registry has it; chat completions if empty
	JSON        string        // file for the report, if not empty
	Dir         string        // parent of the data directory; the system's temporary directory if empty
	PGBin       string        // directory of the Postgres binaries; the usual places if empty
	CPUProfile  string        // file for a profile of the services, if not empty

	// PgBouncer puts one in transaction mode between the services and Postgres.
	// Its processor time is not counted.
	PgBouncer bool
	// Quiet is how long to wait for the counts that Postgres has not published.
	// pgstat.Lag if 0; less makes commits and syncs wrong.
	Quiet time.Duration

	// Self is the command line that, with a part's name (nats, mock, services)
	// and flags after it, runs that part.
	Self []string
	// Progress gets a line for each part of the measurement.
	Progress io.Writer
}

const (
	maxRuns        = 500_000 // four steps each fit the ledger
	maxConcurrency = 4096
	maxTime        = 10 * time.Minute
)

// Validate reports every fault at once.
func (c *Config) Validate() error {
	var errs []error
	switch c.Dialect {
	case "", registry.Chat, registry.Responses:
	default:
		errs = append(errs, fmt.Errorf("dialect is %q, want %s or %s", c.Dialect, registry.Chat, registry.Responses))
	}
	if len(c.Scenarios) == 0 {
		errs = append(errs, errors.New("there is no scenario"))
	}
	for _, name := range c.Scenarios {
		if _, err := scenario.Parse(name); err != nil {
			errs = append(errs, err)
		}
	}
	for _, n := range c.Concurrency {
		if n < 1 || n > maxConcurrency {
			errs = append(errs, fmt.Errorf("concurrency is %d, want 1 to %d", n, maxConcurrency))
		}
	}
	if len(c.Concurrency) == 0 {
		errs = append(errs, errors.New("there is no concurrency"))
	}
	if c.Runs < 0 || c.Runs > maxRuns {
		errs = append(errs, fmt.Errorf("runs is %d, want 0 to %d", c.Runs, maxRuns))
	}
	if c.Time <= 0 || c.Time > maxTime {
		errs = append(errs, fmt.Errorf("time is %s, want more than 0 and at most %s", c.Time, maxTime))
	}
	if c.Think < 0 || c.Think > load.RunLimit/10 {
		errs = append(errs, fmt.Errorf("think time is %s, want 0 to %s", c.Think, load.RunLimit/10))
	}
	return errors.Join(errs...)
}

func (c *Config) stack() stack.Config {
	return stack.Config{
		Self: c.Self, Dir: c.Dir, PGBin: c.PGBin, PgBouncer: c.PgBouncer, Dialect: c.Dialect, CPUProfile: c.CPUProfile,
		Progress: c.Progress,
	}
}

// parseScenarios is for names that Validate accepts.
func (c *Config) parseScenarios() []scenario.Scenario {
	var all []scenario.Scenario
	for _, name := range c.Scenarios {
		if s, err := scenario.Parse(name); err == nil {
			all = append(all, s)
		}
	}
	return all
}
