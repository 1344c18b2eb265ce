package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/bench/internal/client"
	"windlass.dev/windlass/services/bench/internal/load"
	"windlass.dev/windlass/services/bench/internal/processes"
	"windlass.dev/windlass/services/bench/internal/report"
	"windlass.dev/windlass/services/bench/internal/stack"
	"windlass.dev/windlass/services/mock"
)

// Streams says what RunStreams measures, with the Self, Dir, PGBin and Progress
// of a Config.
type Streams struct {
	Config
	Streams int
	Rate    float64       // tokens a second of each
	Time    time.Duration // of each
	Slow    int           // readers of a byte a second, beside the streams of a second pass
}

// RunStreams measures how long a token takes from the model to the client,
// directly and through the services: every token is the time at which it was
// sent. It fails with ErrNoScore if a stream does not have all its tokens.
func RunStreams(ctx context.Context, cfg Streams, out io.Writer) (err error) {
	if cfg.Dialect == registry.Responses {
		return errors.New("streams are measured by chat completions: a token is the time it is sent at, " +
			"and a response repeats all of them at its end")
	}
	b := &bench{Config: cfg.Config, seed: 1}
	b.logProgress("starting Postgres, NATS, the scripted model and the services")
	if b.stack, err = stack.Start(ctx, cfg.stack()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.stack.Stop()) }()
	p := pass{bench: b, cfg: cfg, tokens: int(cfg.Rate * cfg.Time.Seconds()), out: out}
	fmt.Fprintf(out, "\n%d streams of %d tokens, %g a second each\n", cfg.Streams, p.tokens, cfg.Rate)
	fmt.Fprintf(out, "%-28s %10s %10s %10s %10s %10s   %s\n", "", "tokens",
		"first p50", "p50 ms", "p99 ms", "max ms", "services MB: before, half-way, highest")
	if err := p.run(ctx, "straight", b.stack.Direct.Stream()); err != nil {
		return err
	}
	if err := p.run(ctx, "through the services", b.stack.API.Stream()); err != nil {
		return err
	}
	if cfg.Slow == 0 {
		return nil
	}
	return b.runWithSlowReaders(ctx, cfg.Slow, func() error {
		return p.run(ctx, fmt.Sprintf("beside %d slow readers", cfg.Slow), b.stack.API.Stream())
	})
}

// pass measures the streams once and prints a line.
type pass struct {
	bench  *bench
	cfg    Streams
	tokens int
	out    io.Writer
}

func (p *pass) run(ctx context.Context, name string, stream client.Stream) error {
	p.bench.logProgress("%s", name)
	ids := p.bench.stack.IDs
	before := ids.Memory()[processes.Services]
	watched, stop := context.WithCancel(ctx)
	half, stopHalf := context.WithTimeout(watched, p.cfg.Time/2)
	defer stopHalf()
	peaks, halfway := ids.WatchMemory(watched), ids.WatchMemory(half)
	all, err := p.streamAll(ctx, stream)
	stop()
	peak, early := peaks()[processes.Services], halfway()[processes.Services]
	if err != nil {
		return err
	}
	quantile := func(values []time.Duration, q float64) float64 { return report.Milliseconds(load.Quantile(values, q)) }
	fmt.Fprintf(p.out, "%-28s %10d %10.2f %10.2f %10.2f %10.2f   %s → %s → %s\n", name, len(all.tokens),
		quantile(all.first, 0.5), quantile(all.tokens, 0.5), quantile(all.tokens, 0.99), quantile(all.tokens, 1),
		report.Megabytes(before), report.Megabytes(early), report.Megabytes(peak))
	return nil
}

// delays are how long tokens took from the model to the client.
type delays struct{ first, tokens []time.Duration }

// streamAll reads all streams in parallel.
func (p *pass) streamAll(ctx context.Context, stream client.Stream) (all delays, err error) {
	var mu sync.Mutex
	var errs []error
	var reading sync.WaitGroup
	for range p.cfg.Streams {
		plan := mock.Plan{Seed: p.bench.seed, Tokens: p.tokens, TokenRate: p.cfg.Rate, Stamp: true}
		p.bench.seed++
		reading.Go(func() {
			took, err := stream.ReadDelays(ctx, plan)
			if err == nil && len(took) != p.tokens {
				err = fmt.Errorf("%w: a stream had %d tokens, %d were sent", ErrNoScore, len(took), p.tokens)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
				return
			}
			all.first = append(all.first, took[0])
			all.tokens = append(all.tokens, took...)
		})
	}
	reading.Wait()
	return all, errors.Join(errs...)
}

const (
	// slowRate is the rate of the slowly read stream, in tokens a second.
	slowRate = 200
	// headStart is how long that stream runs before its readers come: long
	// enough to exceed what the kernel buffers for a client that reads nothing.
	headStart = 10 * time.Second
	// stallTime is how long it takes until nothing more goes to its readers.
	stallTime = 8 * time.Second
)

// runWithSlowReaders calls f while n clients read one long stream at a byte a
// second, from when nothing more goes to them.
func (b *bench) runWithSlowReaders(ctx context.Context, n int, f func() error) error {
	plan := mock.Plan{Seed: b.seed, Tokens: 20_000, TokenRate: slowRate}
	b.seed++
	id, err := b.stack.API.StartBackground(ctx, plan)
	if err != nil {
		return fmt.Errorf("start the stream of the slow readers: %w", err)
	}
	if err := wait(ctx, time.Now().Add(headStart)); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	var reading sync.WaitGroup
	defer reading.Wait()
	defer stop()
	for range n {
		conn, err := b.stack.API.ConnectSlowly(ctx)
		if err != nil {
			return err
		}
		reading.Go(func() { client.ReadSlowly(ctx, conn, id) })
	}
	if err := wait(ctx, time.Now().Add(stallTime)); err != nil {
		return err
	}
	return f()
}
