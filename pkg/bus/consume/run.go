package consume

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"windlass.dev/windlass/pkg/bus/internal/conn"
	"windlass.dev/windlass/pkg/bus/message"
)

const (
	// pullHeartbeat lets a puller notice within two of them that its request is
	// gone: deleted consumer, lost server.
	pullHeartbeat = time.Second
	// pullExpiry bounds how long a process that hangs without closing its
	// connection goes on being given messages: each of its open pulls takes
	// one, and holds it for an AckWait. 30 s cost a frozen orchestrator's turns
	// 12 to 14 s at an AckWait of 1 s.
	pullExpiry = 5 * time.Second
	// handBackPause is how long a message stays held before it is handed back
	// outside a drain: a Nak comes back in about 1 ms, and a handler that fails
	// at once would spin.
	handBackPause = time.Second
	// handBackWait bounds the wait for messages that arrive while an iterator
	// is closed.
	handBackWait = time.Second
	// awayPause is how long a worker that is away waits before it looks again.
	awayPause = 500 * time.Millisecond
)

var (
	errBusClosed = errors.New("bus is closed")
	errAway      = errors.New("what the handler needs cannot be reached")
)

// Run takes messages and calls the handler for each, up to Slots at a time,
// until ctx ends. Then it hands back what was pulled and not begun, waits for
// the handlers, cancels them with ErrDraining when the grace is over, and waits
// for their end. It returns nil after a drain, and an error only for a wrong
// Config or a Bus that was closed.
func Run(ctx context.Context, src Source, cfg Config) error {
	if err := cfg.check(); err != nil {
		return fmt.Errorf("run %v: %w", cfg.Work.kind, err)
	}
	if cfg.Handle == nil {
		return fmt.Errorf("run %v: no handler", cfg.Work.kind)
	}
	if cfg.Pullers == 0 {
		cfg.Pullers = maxPullers
	}
	r := newRunner(src, cfg)
	return r.run(ctx, min(cfg.Pullers, cfg.Slots), r.serve)
}

// Source is the bus from which messages come.
type Source struct {
	Conn *conn.Conn
	// Publish stores dead letters.
	Publish func(ctx context.Context, msgs ...message.Message) (refused int, err error)
	// OnCancel calls f for every cancel hint until stop.
	OnCancel func(f func(requestID string)) (stop func(), err error)
}

// runner is one Run or RunBatches.
type runner struct {
	Source
	cfg      Config
	stream   string
	slots    chan struct{}
	leases   *leases
	cancels  *cancels
	handlers sync.WaitGroup
	confirms sync.WaitGroup
	// questions bounds the confirmations at the same time.
	questions chan struct{}
	drain     <-chan struct{} // closed when the drain begins
}

func newRunner(src Source, cfg Config) *runner {
	return &runner{
		Source: src, cfg: cfg, stream: src.Conn.Stream(cfg.Work.stream),
		slots: make(chan struct{}, cfg.Slots), leases: newLeases(), cancels: newCancels(time.Now),
		questions: make(chan struct{}, maxConfirms),
	}
}

// run starts pullers, each of which serves until ctx ends, and ends when
// everything it started has ended. The handlers' contexts derive from one that
// ends not with ctx but with the grace.
func (r *runner) run(ctx context.Context, pullers int, serve func(ctx, work context.Context) error) error {
	r.drain = ctx.Done()
	if r.cfg.Work.kind == kindTurn || r.cfg.Work.kind == kindTool {
		stop, err := r.watchCancels()
		if err != nil {
			return fmt.Errorf("run %s: %w", r.cfg.Work.consumer, err)
		}
		defer stop()
	}
	work, abort := context.WithCancelCause(context.WithoutCancel(ctx))
	defer abort(nil)
	idle, ended := context.WithCancel(context.WithoutCancel(ctx))
	var keepers, pulls sync.WaitGroup
	keepers.Go(func() { r.leases.renew(idle, r.Conn.Config.AckWait/3) })
	keepers.Go(func() { r.endGrace(idle, abort) })
	for range pullers {
		pulls.Go(func() { r.pull(ctx, work, serve) })
	}
	pulls.Wait()
	r.handlers.Wait()
	ended()
	keepers.Wait()
	if ctx.Err() == nil {
		return fmt.Errorf("run %s: %w", r.cfg.Work.consumer, errBusClosed)
	}
	return nil
}

// endGrace cancels the handlers when the grace after the drain is over, unless
// idle ends before.
func (r *runner) endGrace(idle context.Context, abort context.CancelCauseFunc) {
	select {
	case <-r.drain:
	case <-idle.Done():
		return
	}
	t := time.NewTimer(r.cfg.Grace)
	defer t.Stop()
	select {
	case <-t.C:
		abort(ErrDraining)
	case <-idle.Done():
	}
}

// pull serves until ctx ends, over every failure.
func (r *runner) pull(ctx, work context.Context, serve func(ctx, work context.Context) error) {
	pauses := conn.Pauses.Pauses()
	for {
		began := time.Now()
		err := serve(ctx, work)
		if ctx.Err() != nil || r.Conn.NATS.IsClosed() {
			return
		}
		if errors.Is(err, errAway) {
			r.awaitReturn(ctx)
			continue
		}
		if time.Since(began) > conn.Pauses.Last {
			pauses.Reset()
		}
		r.Conn.Log.Info("consumer was interrupted",
			zap.String("kind", r.cfg.Work.kind.String()), zap.Error(err))
		if conn.IsMissing(err) {
			if err := r.Conn.Repair(ctx); err != nil {
				r.Conn.Log.Info("repair failed", zap.Error(err))
			}
		}
		pauses.Sleep(ctx)
	}
}

// serve takes a slot, then one message, and hands both to a goroutine, until
// the iterator fails or ctx ends.
func (r *runner) serve(ctx, work context.Context) error {
	_, it, err := r.open(ctx)
	if err != nil {
		return err
	}
	defer r.close(it)
	for {
		if r.cfg.Away != nil && r.cfg.Away(ctx) {
			return errAway
		}
		select {
		case r.slots <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		msg, err := it.Next(jetstream.NextContext(ctx))
		if err != nil {
			<-r.slots
			return err
		}
		r.handlers.Go(func() {
			defer func() { <-r.slots }()
			r.one(work, msg)
		})
	}
}

// awaitReturn waits until the worker is not away any more.
func (r *runner) awaitReturn(ctx context.Context) {
	t := time.NewTicker(awayPause)
	defer t.Stop()
	for r.cfg.Away(ctx) {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// open binds to the consumer. Its iterators ask for one message at a time, and
// only while someone waits for it.
func (r *runner) open(ctx context.Context) (jetstream.Consumer, jetstream.MessagesContext, error) {
	ask, cancel := context.WithTimeout(ctx, conn.APITimeout)
	defer cancel()
	c, err := r.Conn.JS.Consumer(ask, r.stream, r.cfg.Work.consumer)
	if err != nil {
		return nil, nil, err
	}
	it, err := c.Messages(
		jetstream.PullMaxMessages(1), jetstream.PullExpiry(pullExpiry), jetstream.PullHeartbeat(pullHeartbeat))
	return c, it, err
}

// close ends an iterator and hands back what still arrives. Stop would strand
// it for an AckWait.
func (r *runner) close(it jetstream.MessagesContext) {
	it.Drain()
	for {
		msg, err := it.Next(jetstream.NextMaxWait(handBackWait))
		if err != nil {
			return
		}
		r.settle(msg, decision{nak, "handed_back"})
	}
}

// one handles one message from its delivery to its acknowledgement.
func (r *runner) one(work context.Context, msg jetstream.Msg) {
	began := time.Now()
	r.leases.hold(msg)
	defer r.leases.drop(msg)
	d, err := r.cfg.Work.kind.decode(msg)
	r.Conn.Metrics.CountDelivery(r.cfg.Work.consumer, d.Delivered)
	ctx, cancel := context.WithCancelCause(work)
	defer cancel(nil)
	if err != nil {
		err = r.bury(ctx, msg, err)
	} else {
		err = r.call(ctx, cancel, &d)
	}
	decision := decide(context.Cause(ctx), err)
	if decision.action == nak {
		r.holdOn()
	}
	r.settle(msg, decision)
	r.report(&d, decision, time.Since(began), err)
}

// call calls the handler unless the delivery is a tool call of a request that
// was cancelled.
func (r *runner) call(ctx context.Context, cancel context.CancelCauseFunc, d *Delivery) (err error) {
	gone, leave := r.cancels.enter(ctx, cancel, *d)
	defer leave()
	d.Hinted = gone
	if gone && d.Tool != nil && r.cfg.Confirm == nil {
		cancel(ErrCancelled)
		return ErrCancelled
	}
	defer func() {
		if v := recover(); v != nil {
			err = &crash{value: v, stack: debug.Stack()}
		}
	}()
	return r.cfg.Handle(ctx, *d)
}

// holdOn waits before a hand-back, unless the service drains.
func (r *runner) holdOn() {
	t := time.NewTimer(handBackPause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.drain:
	}
}

func (r *runner) draining() bool {
	select {
	case <-r.drain:
		return true
	default:
		return false
	}
}
