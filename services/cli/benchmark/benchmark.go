// Package benchmark is `windlass bench`, and the processes that it measures.
package benchmark

import (
	"context"
	"fmt"
	"os"
	"time"

	"windlass.dev/windlass/services/bench"
)

// Command starts its own stack and measures it.
type Command struct {
	Scenario    []string      `help:"B1: one model call. B2: a model call, a tool call, a model call. B3: three rounds of five parallel tool calls." default:"B1,B2,B3"`
	Concurrency []int         `help:"Requests in flight." default:"1,16"`
	Runs        int           `help:"Runs of each scenario and concurrency; 0: as many as fit into the time." placeholder:"N"`
	Seconds     float64       `help:"Time for each scenario and concurrency, whatever the number of runs." default:"5"`
	Think       time.Duration `help:"Time that the model takes to answer, like 50ms." default:"0s"`
	Dialect     string        `help:"API by which the model is called: chat (completions) or responses." enum:"chat,responses" default:"chat"`
	Out         string        `help:"Also write the report as JSON." placeholder:"FILE"`
	Data        string        `help:"Directory to measure in, on the disk to measure. Default: the system's temporary directory." placeholder:"DIR"`
	PGBin       string        `name:"pg-bin" help:"Directory of the Postgres binaries. Default: the usual places, then a download." env:"PG_BIN" placeholder:"DIR"`
	PgBouncer   bool          `name:"pgbouncer" help:"Put a PgBouncer in transaction mode, with its default settings, between the services and Postgres."`
	Streams     int           `help:"Measure this number of streams instead, for --seconds, directly from the model and through the services." placeholder:"N"`
	Rate        float64       `help:"Tokens a second of each stream." default:"100"`
	SlowReaders int           `help:"Measure the streams again beside this number of readers of a byte a second." placeholder:"N"`
	CPUProfile  string        `name:"cpuprofile" hidden:"" help:"Write a CPU profile of the services."`
}

// Help is shown by windlass bench --help.
func (Command) Help() string {
	return `Starts Postgres (with its durable defaults), a NATS server, a scripted model with its tools and the
five services, each in its own process, and keeps the given number of requests in flight. It checks
every answer and every call, and prints figures only if all are right. A plain loop that stores
nothing (D) makes the same runs, to show what Windlass adds.

It stops by itself, takes about 20 seconds for each scenario and concurrency, and leaves nothing
behind. For meaningful figures, run nothing else on the machine.`
}

// Run measures and prints the report. It fails if there is no score.
func (c *Command) Run(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	cfg := bench.Config{
		Scenarios:   c.Scenario,
		Concurrency: c.Concurrency, Runs: c.Runs, Time: time.Duration(c.Seconds * float64(time.Second)),
		Think: c.Think, Dialect: c.Dialect,
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
