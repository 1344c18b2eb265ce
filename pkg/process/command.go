package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/sethvargo/go-envconfig"
)

// Command is the whole life of a command line tool: it calls run and exits, 0
// when run returns nil or ended because of a signal, and after any other error
// 1 or what the error's method ExitCode returns. It prints an error as one
// plain line on standard error. The first SIGINT or SIGTERM cancels the context
// with ErrDraining, a second one ends the process at once.
func Command(name string, run func(ctx context.Context) error) {
	tuneGC(envconfig.OsLookuper())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	for {
		select {
		case err := <-ended:
			if err == nil || ctx.Err() != nil && (errors.Is(err, ErrDraining) || errors.Is(err, context.Canceled)) {
				os.Exit(0)
			}
			fmt.Fprintln(os.Stderr, name+": "+strings.ReplaceAll(err.Error(), "\n", "; "))
			os.Exit(exitCode(err))
		case s := <-signals:
			if ctx.Err() != nil {
				os.Exit(exitSignal + int(s.(syscall.Signal)))
			}
			cancel(ErrDraining)
		}
	}
}

func exitCode(err error) int {
	if coder := (interface{ ExitCode() int })(nil); errors.As(err, &coder) {
		return coder.ExitCode()
	}
	return exitFailed
}
