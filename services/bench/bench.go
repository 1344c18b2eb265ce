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

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/store/pgstat"
)

// Config says what to measure.
type Config struct {
	Scenarios   []Scenario
	Concurrency []int
	Runs        int           // of each cell; 0: as many as there is time for
	Time        time.Duration // of each cell; it bounds Runs, too
	Think       time.Duration // of the model before it answers
	Dialect     string        // of the model's upstream, as a registry has it; chat completions if empty
	JSON        string        // file for the report, if not empty
	Dir         string        // where the data goes for the time of the measurement; the system's temporary directory if empty
	PGBin       string        // of Postgres; the usual places if empty
	CPUProfile  string        // file for a profile of the services, if not empty
	PgBouncer   bool          // the services reach Postgres through a PgBouncer in transaction mode; its own processor time is not counted
	Quiet       time.Duration // to wait for counts that Postgres keeps to itself; pgstat.Lag if 0, less makes commits and syncs wrong

	// Self is the command line that, with a part's name (nats, mock, services) and flags after it, runs that part.
	Self []string
	// Progress gets a line now and then.
	Progress io.Writer
}

const (
	maxRuns        = 500_000 // four steps each still fit the ledger
	maxConcurrency = 4096
	maxTime        = 10 * time.Minute
	warmUpTime     = 2 * time.Second
	warmUpRuns     = 200
	// calmDown is for what the warm-up left to do.
	calmDown = 2 * time.Second
	// listedStatements is more than the services have.
	listedStatements = 40
	// settle is for what is done after an answer was sent: it belongs to the run.
	settle = 250 * time.Millisecond
)

// ErrNoScore says that a measurement broke a promise, so that its figures mean nothing.
var ErrNoScore = errors.New("no score")

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
	if c.Think < 0 || c.Think > runLimit/10 {
		errs = append(errs, fmt.Errorf("think time is %s, want 0 to %s", c.Think, runLimit/10))
	}
	return errors.Join(errs...)
}

// Run measures every scenario with every concurrency, prints the report to out and writes it as JSON, if asked to. It fails with
// ErrNoScore if an answer was wrong or a step was called other than once; the report then says so in place of figures.
func Run(ctx context.Context, cfg Config, out io.Writer) (err error) {
	if err := cfg.Validate(); err != nil {
		return err
	}
	cfg.Quiet = cmp.Or(cfg.Quiet, pgstat.Lag)
	b := &bench{Config: cfg, seed: 1, report: Report{
		Started: time.Now().UTC(), CPUs: runtime.NumCPU(), Go: runtime.Version(), ThinkTime: ms(cfg.Think),
	}}
	b.say("starting Postgres, NATS, the scripted model and the services")
	if b.stack, err = startStack(ctx, cfg); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.stack.stop()) }()
	b.report.Postgres, b.report.StartUp = b.stack.settings, ms(b.stack.started)
	if err := b.measure(ctx); err != nil {
		return err
	}
	b.report.print(out)
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
	stack  *stack
	report Report
	seed   int64 // of the next run; none is used twice
	flush  []time.Duration
}

func (b *bench) say(format string, args ...any) {
	if b.Progress != nil {
		fmt.Fprintf(b.Progress, "bench: "+format+"\n", args...)
	}
}

// measure fills the report.
func (b *bench) measure(ctx context.Context) error {
	if err := b.warmUp(ctx); err != nil {
		return err
	}
	if err := b.idle(ctx); err != nil {
		return err
	}
	for _, s := range b.Scenarios {
		for _, n := range b.Concurrency {
			b.say("%s with %d in flight", s.Name, n)
			c, err := b.cell(ctx, s, n)
			if err != nil {
				return err
			}
			b.report.Cells = append(b.report.Cells, c)
		}
	}
	b.rateFlushes()
	statements, err := pgstat.Costliest(ctx, b.stack.pg.URL(), listedStatements)
	b.report.Statements = statements
	return err
}

// warmUp fills pools and caches, and proves that the stack works.
func (b *bench) warmUp(ctx context.Context) error {
	b.say("warming up for %s", warmUpTime)
	s := b.Scenarios[len(b.Scenarios)-1]
	l := load{workers: 16, first: b.seed, most: warmUpRuns, until: time.Now().Add(warmUpTime)}
	b.seed += warmUpRuns
	for _, do := range []func(context.Context, int64) error{b.windlass(s), b.plain(s)} {
		l.until = time.Now().Add(warmUpTime)
		runs, _ := l.drive(ctx, do)
		for _, r := range runs {
			if r.err != nil {
				return fmt.Errorf("warm up: %w", r.err)
			}
		}
	}
	return context.Cause(ctx)
}

// idle watches a stack that has nothing to do, for as long as Postgres keeps counts of the warm-up to itself.
func (b *bench) idle(ctx context.Context) error {
	b.say("watching it idle for %s", b.Quiet)
	if err := wait(ctx, time.Now().Add(min(b.Quiet, calmDown))); err != nil {
		return err
	}
	before, err := b.stack.read(ctx)
	if err != nil {
		return err
	}
	if err := wait(ctx, time.Now().Add(b.Quiet)); err != nil {
		return err
	}
	after, err := b.stack.read(ctx)
	if err != nil {
		return err
	}
	seconds, did := after.pg.At.Sub(before.pg.At).Seconds(), after.sub(before)
	b.report.Idle = Idle{
		MemoryBytes: b.stack.ids.memory(), CPU: map[string]float64{},
		Statements: float64(did.pg.Statements) / seconds,
		Writes:     float64(did.pg.WriteTransactions) / seconds,
		Messages:   float64(did.nats.messages) / seconds,
	}
	for group, used := range did.cpu {
		b.report.Idle.CPU[group] = ms(used) / seconds
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

// wait returns at the given time, or with the cause when ctx ends first.
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
