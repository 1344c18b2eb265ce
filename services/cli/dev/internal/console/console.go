// Package console shows the structured log lines of the services to a person:
// one short line each, with what happened and what to do next. It is for
// `windlass dev`; production logs stay JSON.
//
// It promises that a line is one line, whatever a client or an upstream put
// into it (TestLinesAreOneLine), that a fault which repeats is printed a few
// times and then counted (TestRepeatsAreCounted), and that nothing is shown
// which the log line does not hold: what is no prompt, output or key there is
// none here. Warnings and errors that it does not know are shown as they are,
// other lines that it does not know at the level debug only.
//
// Decision: the console reads log lines and adds no channel of its own, so that
// what dev shows can be found in the logs of an installation. Rejected: printing
// from the handlers, which would show different things in each.
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

// Config is what a Console is made of.
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

// New returns a Console; it starts nothing.
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

// Advise gives the Console what it needs to say what to do about a failure.
func (c *Console) Advise(a Advisor) { c.advisor.Store(&a) }

// Run prints the counts of repeated lines as their time comes, until ctx ends.
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
	c.write(c.repeats.over(now), now)
}

// show prints a record, or counts it, or does neither.
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

// write prints lines. A terminal that cannot be written to cannot be told so.
func (c *Console) write(lines []line, at time.Time) {
	for _, l := range lines {
		_, _ = io.WriteString(c.out, l.text(at, c.color))
	}
}

// core is the console as zap knows it.
type core struct {
	console *Console
	with    []zapcore.Field
}

// Enabled implements zapcore.LevelEnabler. Lines of the level info hold the
// failures of requests, so they are looked at whatever is shown.
func (c *core) Enabled(l zapcore.Level) bool {
	return l >= min(zapcore.InfoLevel, c.console.level)
}

// With implements zapcore.Core.
func (c *core) With(fields []zapcore.Field) zapcore.Core {
	return &core{console: c.console, with: append(c.with[:len(c.with):len(c.with)], fields...)}
}

// Check implements zapcore.Core. It drops the lines of steps, of which there
// are many, before their fields are made.
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
