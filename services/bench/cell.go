package bench

import (
	"context"
	"time"

	"windlass.dev/windlass/pkg/store/pgstat"
)

// windlass is one run of the scenario through the services.
func (b *bench) windlass(s Scenario) func(context.Context, int64) error {
	return func(ctx context.Context, seed int64) error { return b.stack.api.run(ctx, s.plan(seed, b.Think)) }
}

// plain is the same run by the plain loop.
func (b *bench) plain(s Scenario) func(context.Context, int64) error {
	return func(ctx context.Context, seed int64) error { return b.stack.direct.run(ctx, s.plan(seed, b.Think)) }
}

// cell measures one scenario with one number of workers: first the services, then the plain loop with the same seeds.
func (b *bench) cell(ctx context.Context, s Scenario, workers int) (Cell, error) {
	if err := b.stack.forget(ctx); err != nil {
		return Cell{}, err
	}
	l := load{workers: workers, first: b.seed, most: b.Runs}
	if l.most == 0 {
		l.most = maxRuns
	}
	c := Cell{Scenario: s.Name, Concurrency: workers}
	runs, after, err := b.loop(ctx, s, l, &c)
	if err != nil {
		return Cell{}, err
	}
	b.seed += int64(len(runs))

	l.most = len(runs)
	cpu := b.stack.ids.cpu()
	l.until = time.Now().Add(b.Time + runLimit)
	direct, took := l.drive(ctx, b.plain(s))
	spent := reading{cpu: b.stack.ids.cpu()}.sub(reading{cpu: cpu}).cpu
	delete(spent, servicesGroup) // they idle
	delete(spent, postgresGroup)
	delete(spent, natsGroup)
	c.Direct = speed(direct, took, s.Steps(), spent)
	more := added(runs, direct)
	c.AddedP50, c.AddedP99 = ms(quantile(more, 0.5)), ms(quantile(more, 0.99))

	if err := b.finish(ctx, &c, s, runs, after); err != nil {
		return Cell{}, err
	}
	for _, d := range direct {
		if d.err != nil {
			c.Audit.violate("the plain loop, seed %d: %v", d.seed, d.err)
		}
	}
	return c, nil
}

// loop runs the closed loop against the services and reads what it cost. The commits, page images and syncs among it come from
// finish.
func (b *bench) loop(ctx context.Context, s Scenario, l load, c *Cell) (runs []run, after reading, err error) {
	before, err := b.stack.read(ctx)
	if err != nil {
		return nil, reading{}, err
	}
	watched, stop := context.WithCancel(ctx)
	defer stop()
	peaks := b.stack.ids.watch(watched)
	l.until = time.Now().Add(b.Time)
	runs, took := l.drive(ctx, b.windlass(s))
	stop()
	c.MemoryPeak = peaks()
	if err := wait(ctx, time.Now().Add(settle)); err != nil {
		return nil, reading{}, err
	}
	if after, err = b.stack.read(ctx); err != nil {
		return nil, reading{}, err
	}
	did := after.sub(before)
	c.Sessions, c.Others = after.pg.Sessions, did.others(after.pg.At.Sub(before.pg.At))
	c.Windlass = speed(runs, took, s.Steps(), did.cpu)
	c.PerStep = perStep(did, len(runs)*s.Steps())
	after.pg.Commits, after.pg.PageImages, after.pg.WALSyncs = before.pg.Commits, before.pg.PageImages, before.pg.WALSyncs
	return runs, after, nil
}

// finish waits until Postgres has published all counts, takes what it did idle off them, and audits the ledger, where a call made
// twice has had the time to show up. after holds the lagging counts from before the loop.
func (b *bench) finish(ctx context.Context, c *Cell, s Scenario, runs []run, after reading) error {
	took, err := flushes(ctx, b.stack.dir)
	if err != nil {
		return err
	}
	b.flush = append(b.flush, took...)
	if err := wait(ctx, after.pg.At.Add(b.Quiet)); err != nil {
		return err
	}
	quiet, err := pgstat.Snapshot(ctx, b.stack.pg.URL())
	if err != nil {
		return err
	}
	late := quiet.Sub(after.pg)
	steps := len(runs) * s.Steps()
	// Idle, a statement is a transaction.
	idle := b.report.Idle.Statements * quiet.At.Sub(after.pg.At).Seconds()
	c.PerStep.Commits = ratio(max(0, float64(late.Commits)-idle), steps)
	c.PerStep.PageImages = ratio(float64(late.PageImages), steps)
	c.PerStep.WALSyncs = ratio(float64(late.WALSyncs), steps)

	entries, err := b.stack.ledger(ctx)
	if err != nil {
		return err
	}
	c.Audit = audit(s, runs, entries)
	return nil
}

// rateFlushes writes the added latencies in the unit of the disk, once all cells have measured it.
func (b *bench) rateFlushes() {
	f, f99 := ms(quantile(b.flush, 0.5)), ms(quantile(b.flush, 0.99))
	b.report.FlushP50, b.report.FlushP99, b.report.Flushes = f, f99, len(b.flush)
	if f == 0 {
		return
	}
	for i := range b.report.Cells {
		c := &b.report.Cells[i]
		c.AddedP50F, c.AddedP99F = c.AddedP50/f, c.AddedP99/f99
	}
}
