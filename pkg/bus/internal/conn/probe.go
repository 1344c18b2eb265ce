package conn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus/internal/topology"
)

// nats-server (2.15) keeps a write error of a file stream, such as that of a
// full disk, until it restarts: it answers no publish to that stream, also when
// the disk has room again. Everything else of the stream works, so that only a
// question for the error shows it. A stream is disposable, because the rows say
// what is due, and is therefore created again as soon as the disk takes data.

const (
	// probeEvery is the time between two questions about a stream that can be
	// written, brokenEvery that about one that cannot.
	probeEvery, brokenEvery = 5 * time.Second, time.Second
	// What the disk has to take before a stream is created again.
	spareMessage, spareMessages = 512 << 10, 8
	// A stream that breaks again soon after it was created again waits longer
	// each time.
	firstRebuildPause, lastRebuildPause = 5 * time.Second, 5 * time.Minute
	rebuildMemory                       = 10 * time.Minute
	// remindEvery is the time between two log lines about the same stream.
	remindEvery = time.Minute
	// doubtMemory is how long a publish without an answer keeps a service from
	// being ready, unless a later one is answered.
	doubtMemory = 10 * time.Second
)

// noSpace is in the server's error when its disk is full.
const noSpace = "no space left"

// storeClosed is in the server's error for a stream that is being deleted.
const storeClosed = "closed"

// writability is what is known of a stream's writes.
type writability struct {
	cause   string // why the server cannot write the stream; "" if it can
	logged  time.Time
	rebuild time.Time // not before
	rebuilt time.Time
	pause   time.Duration // before the next rebuild
}

// probe looks for streams that cannot be written, and creates them again.
type probe struct {
	conn    *Conn
	next    time.Time
	streams map[string]*writability // by the stream's name after the prefix
}

func newProbe(c *Conn) *probe {
	p := &probe{conn: c, streams: make(map[string]*writability)}
	for _, suffix := range topology.StreamNames {
		p.streams[suffix] = &writability{}
	}
	return p
}

// round asks about every stream if it is time, and rebuilds those that are due.
func (p *probe) round(ctx context.Context) error {
	now := time.Now()
	if now.Before(p.next) {
		return nil
	}
	p.next = now.Add(probeEvery)
	var errs []error
	var due []string
	for _, suffix := range topology.StreamNames {
		cause, err := p.conn.writeError(ctx, suffix)
		if err != nil {
			errs = append(errs, fmt.Errorf("ask whether stream %s can be written: %w", p.conn.Stream(suffix), err))
			continue
		}
		s := p.streams[suffix]
		if p.note(suffix, s, cause); cause == "" {
			continue
		}
		p.next = now.Add(brokenEvery)
		if now.After(s.rebuild) {
			due = append(due, suffix)
		}
	}
	p.conn.setUnwritable(p.streams)
	if len(due) > 0 {
		errs = append(errs, p.rebuildAll(ctx, due))
	}
	return errors.Join(errs...)
}

// note takes in an answer, and logs what changes.
func (p *probe) note(suffix string, s *writability, cause string) {
	subject := zap.String("subject", p.conn.Stream(suffix))
	switch {
	case cause == "" && s.cause != "":
		p.conn.Log.Info("stream can be written again", subject)
	case cause != "" && s.cause == "":
		s.rebuild = time.Now().Add(max(s.pause, brokenEvery))
		fallthrough
	case cause != "" && time.Since(s.logged) >= remindEvery:
		s.logged = time.Now()
		p.conn.Log.Error("stream cannot be written: free space on the disk of the NATS server; "+
			"the stream is then created again", subject, zap.String("error", cause))
	}
	if s.pause > 0 && time.Since(s.rebuilt) > rebuildMemory {
		s.pause = 0
	}
	s.cause = cause
	p.conn.Metrics.setWritable(suffix, cause == "")
}

// rebuildAll creates streams again if the disk takes data.
func (p *probe) rebuildAll(ctx context.Context, due []string) error {
	if err := p.conn.tryDisk(ctx); err != nil {
		return fmt.Errorf("streams %v cannot be written, and the disk takes nothing yet: %w", due, err)
	}
	var errs []error
	for _, suffix := range due {
		s := p.streams[suffix]
		s.pause = min(max(2*s.pause, firstRebuildPause), lastRebuildPause)
		s.rebuild, s.rebuilt = time.Now().Add(s.pause), time.Now()
		errs = append(errs, p.conn.rebuild(ctx, suffix))
	}
	return errors.Join(errs...)
}

// writeError asks the server for the write error that it keeps of a stream: it
// answers a purge with it, even one of a subject without messages.
func (c *Conn) writeError(ctx context.Context, suffix string) (string, error) {
	err := c.requestOnce(ctx, "STREAM.PURGE."+c.Stream(suffix), map[string]string{"filter": c.Subject("nothing")}, nil)
	var refusal *jetstream.APIError
	switch {
	case IsMissing(err):
		return "", nil // the watch repairs it
	case errors.As(err, &refusal) && refusal.ErrorCode == codeGeneral &&
		!strings.Contains(refusal.Description, storeClosed):
		return refusal.Description, nil
	}
	return "", err
}

// tryDisk writes a few megabytes to a stream of their own, which it deletes.
func (c *Conn) tryDisk(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, repairTimeout)
	defer cancel()
	name := topology.StreamName(c.Config.Prefix, "PROBE")
	_ = c.JS.DeleteStream(ctx, name) // of a claimer that ended in here
	_, err = c.JS.CreateStream(ctx, jetstream.StreamConfig{
		Name: name, Description: "Windlass: shows whether the disk takes data", Subjects: []string{c.Subject("probe")},
		Storage: jetstream.FileStorage, Replicas: c.Config.Replicas, MaxMsgs: spareMessages,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.JS.DeleteStream(ctx, name)) }()
	data := make([]byte, spareMessage)
	for range spareMessages {
		one, cancel := context.WithTimeout(ctx, PublishTimeout)
		_, err := c.JS.Publish(one, c.Subject("probe"), data, jetstream.WithRetryAttempts(0))
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// rebuild deletes a stream that cannot be written and creates it again.
func (c *Conn) rebuild(ctx context.Context, suffix string) error {
	select {
	case c.repairing <- struct{}{}:
		defer func() { <-c.repairing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, repairTimeout)
	defer cancel()
	if !waitRepairGap(ctx) { // another claimer may do the same
		return context.Cause(ctx)
	}
	cause, err := c.writeError(ctx, suffix)
	if cause == "" || err != nil {
		return err
	}
	c.Log.Warn("stream that cannot be written is deleted and created again",
		zap.String("subject", c.Stream(suffix)), zap.String("error", cause))
	if err := c.JS.DeleteStream(ctx, c.Stream(suffix)); err != nil && !IsMissing(err) {
		return fmt.Errorf("delete stream %s: %w", c.Stream(suffix), err)
	}
	c.Metrics.rebuilds.WithLabelValues(suffix).Inc()
	return c.ensure(ctx)
}

// setUnwritable publishes what Ready reports.
func (c *Conn) setUnwritable(streams map[string]*writability) {
	var broken []string
	for suffix, s := range streams {
		if s.cause != "" {
			broken = append(broken, fmt.Sprintf("%s (%s)", c.Stream(suffix), lastPart(s.cause)))
		}
	}
	slices.Sort(broken)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unwritable = broken
}

// doubt notes that a publish to a stream got no answer.
func (c *Conn) doubt(suffix string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.doubted[suffix] = time.Now()
}

// Trust notes that a publish to a stream was answered.
func (c *Conn) Trust(suffix string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.doubted, suffix)
}

// checkWrites returns an error if streams are known or suspected to take no
// writes.
func (c *Conn) checkWrites() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.unwritable) > 0 {
		return unready{text: "NATS cannot write " + strings.Join(c.unwritable, ", ")}
	}
	var silent []string
	for suffix, at := range c.doubted {
		if time.Since(at) < doubtMemory {
			silent = append(silent, c.Stream(suffix))
		}
	}
	if len(silent) == 0 {
		return nil
	}
	slices.Sort(silent)
	return unready{text: "NATS does not answer publishes to " + strings.Join(silent, ", ")}
}

// lastPart is the last part of an error's text, without the paths before it.
func lastPart(text string) string {
	if i := strings.LastIndex(text, ": "); i >= 0 {
		return text[i+2:]
	}
	return text
}
