// Package console shows the structured log lines of the services to a person:
// one short line each, with what happened and what to do next. It is for
// `windlass dev`; production logs stay JSON.
//
// It promises:
//   - One log line is one line on the terminal, whatever text a client or an
//     upstream put into it (TestLinesAreOneLine).
//   - A fault that repeats is printed a few times and then counted
//     (TestRepeatsAreCounted); an outage is printed once
//     (TestAnOutageIsOneLine).
//   - It shows nothing that is not in the log line, and so no prompt, output or
//     key.
//
// It shows unknown warnings and errors unchanged, and other unknown lines only
// at the level debug.
//
// Decision: the console reads log lines, so that everything it shows is also in
// the logs of an installation. Rejected: printing from the handlers, which
// would show different things in each.
package console

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Config configures a Console.
type Config struct {
	Out   io.Writer
	Level string // debug, info, warn or error
	Color bool
}

// Console writes lines. Make it with New. Safe for concurrent use.
type Console struct {
	level   zapcore.Level
	color   bool
	advisor atomic.Pointer[Advisor]

	mu      sync.Mutex
	out     io.Writer
	repeats repeats
}

// New returns a Console. It starts no goroutine.
func New(cfg Config) (*Console, error) {
	level, err := zapcore.ParseLevel(cfg.Level)
	if err != nil {
		return nil, fmt.Errorf("read the log level: %w", err)
	}
	c := &Console{level: level, color: cfg.Color, out: cfg.Out}
	c.advisor.Store(&Advisor{})
	return c, nil
}

// Logger returns a logger whose lines the Console shows.
func (c *Console) Logger() *zap.Logger { return zap.New(&core{console: c}) }

// Advise sets the Advisor of later lines.
func (c *Console) Advise(a Advisor) { c.advisor.Store(&a) }

// Run prints the counts of repeated lines until ctx ends.
func (c *Console) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			c.flush(time.Now().Add(stateWindow))
			return nil
		case now := <-tick.C:
			c.flush(now)
		}
	}
}

func (c *Console) flush(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write(c.repeats.endSeries(now), now)
}

// show prints or counts a record, or drops it.
func (c *Console) show(r record) {
	l := c.advisor.Load().line(r)
	if l.level < c.level {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.message == readyAgain {
		c.repeats.forget()
	}
	lines, shown := c.repeats.add(l, r.at)
	c.write(lines, r.at)
	if shown {
		c.write([]line{l}, r.at)
	}
}

// write prints lines. An error of the terminal has no place to go.
func (c *Console) write(lines []line, at time.Time) {
	for _, l := range lines {
		_, _ = io.WriteString(c.out, l.text(at, c.color))
	}
}

// core connects the console to zap.
type core struct {
	console *Console
	with    []zapcore.Field
}

// Enabled implements zapcore.LevelEnabler. Failures of requests have the level
// info, so that level is always enabled.
func (c *core) Enabled(l zapcore.Level) bool {
	return l >= min(zapcore.InfoLevel, c.console.level)
}

// With implements zapcore.Core.
func (c *core) With(fields []zapcore.Field) zapcore.Core {
	return &core{console: c.console, with: append(c.with[:len(c.with):len(c.with)], fields...)}
}

// Check implements zapcore.Core. It drops the frequent lines of steps before
// their fields are encoded.
func (c *core) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	_, known := renderers[e.Message]
	if !c.Enabled(e.Level) || e.Level < zapcore.WarnLevel && !known && c.console.level > zapcore.DebugLevel {
		return ce
	}
	return ce.AddCore(e, c)
}

// Write implements zapcore.Core.
func (c *core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range c.with {
		f.AddTo(enc)
	}
	for _, f := range fields {
		f.AddTo(enc)
	}
	c.console.show(record{at: e.Time, level: e.Level, message: e.Message, fields: enc.Fields})
	return nil
}

// Sync implements zapcore.Core.
func (c *core) Sync() error { return nil }
