// Package benchmark is `windlass bench`, and the processes that it measures.
package benchmark

import (
	"context"
	"fmt"
	"os"
	"time"

	"windlass.dev/windlass/services/bench"
)

// Command measures a stack of its own.
type Command struct {
	Scenario    []string      `help:"B1: one model call. B2: a model call, a tool call, a model call. B3: three rounds of five parallel tool calls." default:"B1,B2,B3"`
	Concurrency []int         `help:"Requests in flight." default:"1,16"`
	Runs        int           `help:"Runs of each scenario and concurrency; 0: as many as there is time for." placeholder:"N"`
	Seconds     float64       `help:"Time for each scenario and concurrency, whatever the number of runs." default:"5"`
	Think       time.Duration `help:"What the model takes to answer, like 50ms." default:"0s"`
	Dialect     string        `help:"API that the model is called by: chat (completions) or responses." enum:"chat,responses" default:"chat"`
	Out         string        `help:"Write the report as JSON, too." placeholder:"FILE"`
	Data        string        `help:"Directory to measure in; it has to be on the disk in question. The system's temporary one by default." placeholder:"DIR"`
	PGBin       string        `name:"pg-bin" help:"Directory of the Postgres binaries; without it the usual places, then a download." env:"PG_BIN" placeholder:"DIR"`
	PgBouncer   bool          `name:"pgbouncer" help:"Put a PgBouncer in transaction mode, with its default settings, between the services and Postgres."`
	Streams     int           `help:"Measure streams instead: so many at once, for --seconds, straight from the model and through the services." placeholder:"N"`
	Rate        float64       `help:"Tokens a second of each stream." default:"100"`
	SlowReaders int           `help:"Measure the streams again beside so many readers of a byte a second." placeholder:"N"`
	CPUProfile  string        `name:"cpuprofile" hidden:"" help:"Write a CPU profile of the services."`
}

// Help is shown by windlass bench --help.
func (Command) Help() string {
	return `Starts Postgres (with its durable defaults), a NATS server, a scripted model with its tools and the five services, in processes of
their own, and keeps the given number of requests in flight. Every answer and every call is checked; figures are printed only when all were as
they must. The same runs by a plain loop that keeps nothing (D) show what is added.

It stops by itself, takes about 20 seconds for each scenario and concurrency, and leaves nothing behind. For figures that mean something leave
the machine alone meanwhile.`
}

// Run measures, prints the report, and fails if there is no score.
func (c *Command) Run(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	cfg := bench.Config{
		Scenarios:   c.Scenario,
		Concurrency: c.Concurrency, Runs: c.Runs, Time: time.Duration(c.Seconds * float64(time.Second)), Think: c.Think, Dialect: c.Dialect,
		JSON: c.Out, Dir: c.Data, PGBin: c.PGBin, CPUProfile: c.CPUProfile, PgBouncer: c.PgBouncer,
		Self: []string{self, "bench-part"}, Progress: os.Stderr,
	}
	if c.Streams > 0 {
		return bench.RunStreams(ctx, bench.Streams{
			Config: cfg, Streams: c.Streams, Rate: c.Rate, Time: cfg.Time, Slow: c.SlowReaders,
		}, os.Stdout)
	}
	return bench.Run(ctx, cfg, os.Stdout)
}
