// Command repeat runs every package's tests many times while the processors are
// busy, and reports each test that failed. A test that passes only on an idle
// machine is wrong.
//
//	go run ./services/test/repeat -times 20 ./pkg/bus/... ./services/gateway
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"
)

func main() {
	times := flag.Int("times", 20, "runs of each package")
	load := flag.Int("load", 2*runtime.NumCPU(), "busy loops beside the tests")
	race := flag.Bool("race", false, "with the race detector")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if !repeatAll(ctx, flag.Args(), *times, *load, *race) {
		os.Exit(1)
	}
}

// repeatAll reports whether every run of every package was green.
func repeatAll(ctx context.Context, patterns []string, times, load int, race bool) bool {
	list, err := exec.CommandContext(ctx, "go", append([]string{"list"}, patterns...)...).Output()
	if err != nil {
		fmt.Fprintln(os.Stderr, "list packages:", err)
		return false
	}
	busy, idle := context.WithCancel(ctx)
	var loops sync.WaitGroup
	for range load {
		loops.Go(func() {
			for busy.Err() == nil { // it keeps a processor busy on purpose
			}
		})
	}
	defer loops.Wait()
	defer idle()
	green := true
	for _, name := range strings.Fields(string(list)) {
		passed := repeat(ctx, name, times, race)
		fmt.Fprintf(os.Stdout, "%s: %d of %d green\n", name, passed, times)
		green = green && passed == times
	}
	return green
}

var failure = regexp.MustCompile(`(?m)^\s*--- FAIL: .*|^panic: .*|^\s+\S+_test\.go:\d+: .*`)

// repeat returns how many runs of a package passed.
func repeat(ctx context.Context, name string, times int, race bool) (passed int) {
	args := []string{"test", "-count=1", "-shuffle=on", "-timeout", "20m", name}
	if race {
		args = append(args, "-race")
	}
	for n := range times {
		began := time.Now()
		out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput()
		if ctx.Err() != nil {
			return passed
		}
		if err == nil {
			passed++
			continue
		}
		fmt.Fprintf(os.Stdout, "%s run %d failed after %s\n", name, n+1, time.Since(began).Round(time.Second))
		lines := failure.FindAll(out, 20)
		fmt.Fprintf(os.Stdout, "%s\n", bytes.Join(lines, []byte("\n")))
	}
	return passed
}
