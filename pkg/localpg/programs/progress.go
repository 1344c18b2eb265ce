package programs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// errStalled says that a source sent nothing for stallLimit.
var errStalled = errors.New("the download stands still")

// pace is how often a download is looked at and reported, and how long it may
// stand still.
type pace struct{ look, line, stall time.Duration }

var downloadPace = pace{look: 250 * time.Millisecond, line: 5 * time.Second, stall: 20 * time.Second}

// download announces one download and follows it. Its counters are safe for
// concurrent use.
type download struct {
	out      io.Writer // nil: silent
	terminal bool
	what     string
	done     atomic.Int64 // bytes received, beside those below dir
	total    atomic.Int64 // 0: unknown
	dir      string       // files that grow while it goes on; empty: none
}

// newDownload announces what is downloaded. about is the size in bytes to
// expect, 0 if unknown.
func newDownload(out io.Writer, what string, about int64) *download {
	d := &download{out: out, what: what}
	d.total.Store(about)
	if f, ok := out.(*os.File); ok {
		if info, err := f.Stat(); err == nil {
			d.terminal = info.Mode()&fs.ModeCharDevice != 0
		}
	}
	size := ""
	if about > 0 {
		size = " (about " + megabytes(about) + ")"
	}
	d.print("Downloading " + what + size + "\n")
	return d
}

// follow runs do, reports its progress, and cancels it with errStalled when no
// byte has come for p.stall.
func (d *download) follow(ctx context.Context, p pace, do func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	ended := make(chan struct{})
	watching.Go(func() {
		if d.watch(p, ended) {
			cancel(fmt.Errorf("%w: no data for %s", errStalled, p.stall))
		}
	})
	err := do(ctx)
	close(ended)
	watching.Wait()
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	cancel(nil)
	if d.terminal {
		d.print("\r\033[K")
	}
	return err
}

// watch reports whether the download stood still before it ended.
func (d *download) watch(p pace, ended <-chan struct{}) bool {
	ticks := time.NewTicker(p.look)
	defer ticks.Stop()
	last, moved, said := int64(-1), time.Now(), time.Now()
	for {
		select {
		case <-ended:
			return false
		case <-ticks.C:
		}
		now := d.received()
		if now != last {
			last, moved = now, time.Now()
		}
		if time.Since(moved) > p.stall {
			return true
		}
		switch {
		case d.terminal:
			d.print("\r\033[K  " + d.state(now))
		case time.Since(said) >= p.line:
			said = time.Now()
			d.print("  " + d.state(now) + "\n")
		}
	}
}

func (d *download) received() int64 {
	n := d.done.Load()
	if d.dir != "" {
		n += dirSize(d.dir)
	}
	return n
}

func (d *download) state(now int64) string {
	total := d.total.Load()
	if got := d.done.Load(); got > 0 && got >= total {
		return megabytes(got) + " received, unpacking"
	}
	if total > 0 && now <= total {
		return fmt.Sprintf("%s of %s (%d%%)", megabytes(now), megabytes(total), now*100/total)
	}
	return megabytes(now)
}

func (d *download) print(text string) {
	if d.out != nil {
		_, _ = io.WriteString(d.out, text) // progress only
	}
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// dirSize sums the files below dir. Files may come and go meanwhile.
func dirSize(dir string) (sum int64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // a file that went away counts nothing
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
		return nil
	})
	return sum
}
