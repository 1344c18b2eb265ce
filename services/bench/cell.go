package bench

import (
	"context"
	"time"

	"windlass.dev/windlass/pkg/store/pgstat"
	"windlass.dev/windlass/services/bench/internal/audit"
	"windlass.dev/windlass/services/bench/internal/disk"
	"windlass.dev/windlass/services/bench/internal/load"
	"windlass.dev/windlass/services/bench/internal/processes"
	"windlass.dev/windlass/services/bench/internal/report"
	"windlass.dev/windlass/services/bench/internal/scenario"
	"windlass.dev/windlass/services/bench/internal/stack"
)

// settleTime is for work that follows an answer: it belongs to the run.
const settleTime = 250 * time.Millisecond

// runWindlass makes one run of the scenario through the services.
func (b *bench) runWindlass(s scenario.Scenario) func(context.Context, int64) error {
	return func(ctx context.Context, seed int64) error { return b.stack.API.Run(ctx, s.Plan(seed, b.Think)) }
}

// runDirect makes the same run by the plain loop.
func (b *bench) runDirect(s scenario.Scenario) func(context.Context, int64) error {
	return func(ctx context.Context, seed int64) error { return b.stack.Direct.Run(ctx, s.Plan(seed, b.Think)) }
}

// cell measures one scenario with one number of workers: first the services,
// then the plain loop with the same seeds.
func (b *bench) cell(ctx context.Context, s scenario.Scenario, workers int) (report.Cell, error) {
	if err := b.stack.ClearLedger(ctx); err != nil {
		return report.Cell{}, err
	}
	l := load.Load{Workers: workers, First: b.seed, Most: b.Runs}
	if l.Most == 0 {
		l.Most = maxRuns
	}
	c := report.Cell{Scenario: s.Name, Concurrency: workers}
	runs, after, err := b.loop(ctx, s, l, &c)
	if err != nil {
		return report.Cell{}, err
	}
	b.seed += int64(len(runs))

	l.Most = len(runs)
	cpu := b.stack.IDs.CPU()
	l.Until = time.Now().Add(b.Time + load.RunLimit)
	direct, took := l.Drive(ctx, b.runDirect(s))
	spent := stack.Reading{CPU: b.stack.IDs.CPU()}.Sub(stack.Reading{CPU: cpu}).CPU
	delete(spent, processes.Services) // idle during the plain loop
	delete(spent, processes.Postgres)
	delete(spent, processes.NATS)
	c.Direct = report.NewSpeed(direct, took, s.Steps(), spent)
	more := load.AddedLatencies(runs, direct)
	c.AddedP50 = report.Milliseconds(load.Quantile(more, 0.5))
	c.AddedP99 = report.Milliseconds(load.Quantile(more, 0.99))

	if err := b.finish(ctx, &c, s, runs, after); err != nil {
		return report.Cell{}, err
	}
	for _, d := range direct {
		if d.Err != nil {
			c.Audit.Violate("the plain loop, seed %d: %v", d.Seed, d.Err)
		}
	}
	return c, nil
}

// loop drives the services and reads what the runs cost. finish adds commits,
// page images and syncs, which Postgres publishes later.
func (b *bench) loop(
	ctx context.Context, s scenario.Scenario, l load.Load, c *report.Cell,
) (runs []load.Run, after stack.Reading, err error) {
	before, err := b.stack.Read(ctx)
	if err != nil {
		return nil, stack.Reading{}, err
	}
	watched, stop := context.WithCancel(ctx)
	defer stop()
	peaks := b.stack.IDs.WatchMemory(watched)
	l.Until = time.Now().Add(b.Time)
	runs, took := l.Drive(ctx, b.runWindlass(s))
	stop()
	c.MemoryPeak = peaks()
	if err := wait(ctx, time.Now().Add(settleTime)); err != nil {
		return nil, stack.Reading{}, err
	}
	if after, err = b.stack.Read(ctx); err != nil {
		return nil, stack.Reading{}, err
	}
	did := after.Sub(before)
	c.Sessions, c.Others = after.PG.Sessions, did.OtherPrograms(after.PG.At.Sub(before.PG.At))
	c.Windlass = report.NewSpeed(runs, took, s.Steps(), did.CPU)
	c.PerStep = report.NewPerStep(did, len(runs)*s.Steps())
	after.PG.Commits, after.PG.PageImages = before.PG.Commits, before.PG.PageImages
	after.PG.WALSyncs = before.PG.WALSyncs
	return runs, after, nil
}

// finish waits until Postgres has published all counts and subtracts those of
// an idle stack. It audits the ledger last: by then a second call of a step is
// in it. after has the lagging counts from before the loop.
func (b *bench) finish(
	ctx context.Context, c *report.Cell, s scenario.Scenario, runs []load.Run, after stack.Reading,
) error {
	took, err := disk.Flushes(ctx, b.stack.Dir)
	if err != nil {
		return err
	}
	b.flush = append(b.flush, took...)
	if err := wait(ctx, after.PG.At.Add(b.Quiet)); err != nil {
		return err
	}
	quiet, err := pgstat.Snapshot(ctx, b.stack.PG.URL())
	if err != nil {
		return err
	}
	late := quiet.Sub(after.PG)
	steps := len(runs) * s.Steps()
	// In an idle stack each statement is a transaction.
	idle := b.report.Idle.Statements * quiet.At.Sub(after.PG.At).Seconds()
	c.PerStep.Commits = report.Ratio(max(0, float64(late.Commits)-idle), steps)
	c.PerStep.PageImages = report.Ratio(float64(late.PageImages), steps)
	c.PerStep.WALSyncs = report.Ratio(float64(late.WALSyncs), steps)

	entries, err := b.stack.Ledger(ctx)
	if err != nil {
		return err
	}
	c.Audit = audit.Of(s, runs, entries)
	return nil
}

// rateFlushes converts the added latencies to the unit of the disk, after all
// cells have measured it.
func (b *bench) rateFlushes() {
	f, f99 := report.Milliseconds(load.Quantile(b.flush, 0.5)), report.Milliseconds(load.Quantile(b.flush, 0.99))
	b.report.FlushP50, b.report.FlushP99, b.report.Flushes = f, f99, len(b.flush)
	if f == 0 {
		return
	}
	for i := range b.report.Cells {
		c := &b.report.Cells[i]
		c.AddedP50F, c.AddedP99F = c.AddedP50/f, c.AddedP99/f99
	}
}
