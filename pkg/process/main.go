package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sethvargo/go-envconfig"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/process/failpoint"
)

// ErrDraining is the cause of a context that ended because the process was
// asked to stop.
var ErrDraining = errors.New("draining")

const (
	exitFailed = 1
	exitSignal = 128 // plus the signal's number, as shells report it
)

// Main is the whole life of a process: it reads Config, calls run and exits, 0
// when run returns nil or the drain it was asked for, 1 after any other error,
// which it logs in one line. It starts nothing else: a service calls
// Runtime.Serve for its admin endpoints, a command that ends by itself does
// not.
func Main(name string, run func(ctx context.Context, rt *Runtime) error) {
	if len(os.Args) == 2 && slices.Contains([]string{"-h", "--help", "help"}, os.Args[1]) {
		fmt.Fprintf(os.Stdout, usage, name)
		os.Exit(0)
	}
	signals := make(chan os.Signal, 2) // the drain and the impatient second one
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	os.Exit(live(name, envconfig.OsLookuper(), os.Stderr, signals, run))
}

// usage is what a service says to --help.
const usage = `%s takes no arguments: it is configured by environment variables.
docs/settings.md lists them; a wrong or missing one is named when the process starts.
`

// live is Main with its surroundings as arguments. It returns the exit status.
func live(
	name string, environment envconfig.Lookuper, out io.Writer, signals <-chan os.Signal,
	run func(context.Context, *Runtime) error,
) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)

	rt, err := start(ctx, name, environment, out)
	if err != nil {
		return report(rt.Log, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, rt) }()

	var overdue <-chan time.Time
	for {
		select {
		case err := <-ended:
			if errors.Is(context.Cause(ctx), ErrDraining) &&
				(errors.Is(err, ErrDraining) || errors.Is(err, context.Canceled)) {
				err = nil
			}
			return report(rt.Log, err)
		case s := <-signals:
			if ctx.Err() != nil {
				rt.Log.Warn("drain cut short")
				return exitSignal + int(s.(syscall.Signal))
			}
			rt.Log.Info("drain begun")
			cancel(ErrDraining)
			overdue = time.After(rt.Config.Grace)
		case <-overdue:
			rt.Log.Error("drain overran its grace", zap.Duration("took", rt.Config.Grace))
			return exitFailed
		}
	}
}

// start reads the configuration and arms the failpoint. After an error the
// Runtime is good for its logger only.
func start(ctx context.Context, name string, environment envconfig.Lookuper, out io.Writer) (*Runtime, error) {
	var cfg Config
	fault := load(ctx, &cfg, environment)
	log, err := NewLogger(out, cfg.LogLevel, cfg.LogFormat)
	if err != nil { // fault says why
		if log, err = NewLogger(out, "info", "json"); err != nil {
			panic(err)
		}
	}
	tuneGC(environment)
	if fault == nil {
		cfg.MemoryMax = limitMemory(cfg.MemoryMax, environment)
	}
	rt := NewRuntime(name, cfg, log)
	if fault != nil {
		return rt, fault
	}
	return rt, failpoint.Arm(cfg.Failpoint)
}

// gcPercent trades memory, of which a service uses little, for processor time,
// of which collections took an eighth under load at Go's default of 100
// (windlass bench, B3 at 16 in flight).
const gcPercent = 200

// tuneGC sets the collector's pace unless the environment does.
func tuneGC(environment envconfig.Lookuper) {
	if _, set := environment.Lookup("GOGC"); !set {
		debug.SetGCPercent(gcPercent)
	}
}

// report logs err, if any, in one line, and returns the exit status.
func report(log *zap.Logger, err error) int {
	if err == nil {
		return 0
	}
	log.Error("process failed", zap.String("error", strings.ReplaceAll(err.Error(), "\n", "; ")))
	return exitFailed
}
