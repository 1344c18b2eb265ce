package bench

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"windlass.dev/windlass/pkg/store/pgstat"
	"windlass.dev/windlass/services/bench/internal/load"
	"windlass.dev/windlass/services/bench/internal/report"
	"windlass.dev/windlass/services/bench/internal/stack"
)

const (
	warmUpTime = 2 * time.Second
	warmUpRuns = 200
	// cooldown is for the work that the warm-up left behind.
	cooldown = 2 * time.Second
	// listedStatements is more than the services have.
	listedStatements = 40
)

// ErrNoScore means that an answer or a call was wrong, so that the figures mean
// nothing.
var ErrNoScore = errors.New("no score")

// Run measures every scenario with every concurrency, prints the report to out
// and, if cfg.JSON is set, writes it as JSON. It fails with ErrNoScore if an
// answer was wrong or a step was not called exactly once; the report then names
// the violations instead of figures.
func Run(ctx context.Context, cfg Config, out io.Writer) (err error) {
	if err := cfg.Validate(); err != nil {
		return err
	}
	cfg.Quiet = cmp.Or(cfg.Quiet, pgstat.Lag)
	b := &bench{Config: cfg, seed: 1, report: report.Report{
		Started: time.Now().UTC(), CPUs: runtime.NumCPU(), Go: runtime.Version(),
		ThinkTime: report.Milliseconds(cfg.Think),
	}}
	b.logProgress("starting Postgres, NATS, the scripted model and the services")
	if b.stack, err = stack.Start(ctx, cfg.stack()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.stack.Stop()) }()
	b.report.Postgres, b.report.StartUp = b.stack.Settings, report.Milliseconds(b.stack.StartUp)
	if err := b.measure(ctx); err != nil {
		return err
	}
	b.report.Print(out)
	if err := b.save(); err != nil {
		return err
	}
	for _, c := range b.report.Cells {
		if !c.Valid() {
			return fmt.Errorf("measure %s: %w", c.Scenario, ErrNoScore)
		}
	}
	return nil
}

type bench struct {
	Config
	stack  *stack.Stack
	report report.Report
	seed   int64 // of the next run; no seed is used twice
	flush  []time.Duration
}

func (b *bench) logProgress(format string, args ...any) {
	if b.Progress != nil {
		fmt.Fprintf(b.Progress, "bench: "+format+"\n", args...)
	}
}

// measure fills the report.
func (b *bench) measure(ctx context.Context) error {
	if err := b.warmUp(ctx); err != nil {
		return err
	}
	if err := b.measureIdle(ctx); err != nil {
		return err
	}
	for _, s := range b.parseScenarios() {
		for _, n := range b.Concurrency {
			b.logProgress("%s with %d in flight", s.Name, n)
			c, err := b.cell(ctx, s, n)
			if err != nil {
				return err
			}
			b.report.Cells = append(b.report.Cells, c)
		}
	}
	b.rateFlushes()
	statements, err := pgstat.Costliest(ctx, b.stack.PG.URL(), listedStatements)
	b.report.Statements = statements
	return err
}

// warmUp fills pools and caches, and proves that the stack works.
func (b *bench) warmUp(ctx context.Context) error {
	b.logProgress("warming up for %s", warmUpTime)
	s := b.parseScenarios()[len(b.parseScenarios())-1]
	l := load.Load{Workers: 16, First: b.seed, Most: warmUpRuns, Until: time.Now().Add(warmUpTime)}
	b.seed += warmUpRuns
	for _, do := range []func(context.Context, int64) error{b.runWindlass(s), b.runDirect(s)} {
		l.Until = time.Now().Add(warmUpTime)
		runs, _ := l.Drive(ctx, do)
		for _, r := range runs {
			if r.Err != nil {
				return fmt.Errorf("warm up: %w", r.Err)
			}
		}
	}
	return context.Cause(ctx)
}

// measureIdle measures the idle stack for cfg.Quiet, after which Postgres has
// published the counts of the warm-up.
func (b *bench) measureIdle(ctx context.Context) error {
	b.logProgress("watching it idle for %s", b.Quiet)
	if err := wait(ctx, time.Now().Add(min(b.Quiet, cooldown))); err != nil {
		return err
	}
	before, err := b.stack.Read(ctx)
	if err != nil {
		return err
	}
	if err := wait(ctx, time.Now().Add(b.Quiet)); err != nil {
		return err
	}
	after, err := b.stack.Read(ctx)
	if err != nil {
		return err
	}
	seconds, did := after.PG.At.Sub(before.PG.At).Seconds(), after.Sub(before)
	b.report.Idle = report.Idle{
		MemoryBytes: b.stack.IDs.Memory(), CPU: map[string]float64{},
		Statements: float64(did.PG.Statements) / seconds,
		Writes:     float64(did.PG.WriteTransactions) / seconds,
		Messages:   float64(did.NATS.Messages) / seconds,
	}
	for group, used := range did.CPU {
		b.report.Idle.CPU[group] = report.Milliseconds(used) / seconds
	}
	return nil
}

func (b *bench) save() error {
	if b.JSON == "" {
		return nil
	}
	text, err := json.MarshalIndent(b.report, "", "  ")
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := os.WriteFile(b.JSON, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// wait waits until a time. It returns the cause of ctx if that ends first.
func wait(ctx context.Context, until time.Time) error {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
