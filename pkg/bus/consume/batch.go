package consume

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// RunBatches is Run for handlers that take many messages at once. It waits for
// one message, takes with it what is waiting, up to Max, and never waits for
// more. Up to Slots batches are handled at the same time. Every message is
// acknowledged by its own error.
func RunBatches(ctx context.Context, src Source, cfg Config) error {
	if cfg.Slots == 0 {
		cfg.Slots = defaultBatches
	}
	if cfg.Max == 0 {
		cfg.Max = defaultBatch
	}
	if err := cfg.check(); err != nil {
		return fmt.Errorf("run batches of %v: %w", cfg.Work.kind, err)
	}
	if cfg.HandleBatch == nil {
		return fmt.Errorf("run batches of %v: no handler", cfg.Work.kind)
	}
	r := newRunner(src, cfg)
	return r.run(ctx, cfg.Slots, r.serveBatches)
}

// serveBatches takes a batch and handles it, until the iterator fails or ctx
// ends.
func (r *runner) serveBatches(ctx, work context.Context) error {
	c, it, err := r.open(ctx)
	if err != nil {
		return err
	}
	defer r.close(it)
	for {
		first, err := it.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		r.batch(work, r.gather(c, first))
	}
}

// gather adds to the first message what was waiting behind it when it was
// delivered. The count came with the message, so a message that is alone costs
// no second question.
func (r *runner) gather(c jetstream.Consumer, first jetstream.Msg) []jetstream.Msg {
	r.leases.hold(first)
	msgs := []jetstream.Msg{first}
	meta, err := first.Metadata()
	if err != nil || meta.NumPending == 0 || r.cfg.Max == 1 {
		return msgs
	}
	more, err := c.FetchNoWait(int(min(meta.NumPending, uint64(r.cfg.Max-1))))
	if err != nil {
		return msgs
	}
	for msg := range more.Messages() {
		r.leases.hold(msg)
		msgs = append(msgs, msg)
	}
	return msgs
}

// batch handles messages, all of them leased, from their delivery to their
// acknowledgement.
func (r *runner) batch(work context.Context, msgs []jetstream.Msg) {
	began := time.Now()
	errs := make([]error, len(msgs))
	all := make([]Delivery, len(msgs))
	var good []Delivery
	var place []int // of each good delivery among all
	for i, msg := range msgs {
		var err error
		all[i], err = r.cfg.Work.kind.decode(msg)
		r.Conn.Metrics.CountDelivery(r.cfg.Work.consumer, all[i].Delivered)
		if err != nil {
			errs[i] = r.bury(work, msg, err)
			continue
		}
		good, place = append(good, all[i]), append(place, i)
	}
	for j, err := range r.callBatch(work, good) {
		errs[place[j]] = err
	}
	r.settleBatch(work, msgs, all, errs, began)
}

var errMiscount = errors.New("batch handler returned a wrong number of errors")

// callBatch returns nil or one error per delivery.
func (r *runner) callBatch(ctx context.Context, ds []Delivery) (errs []error) {
	if len(ds) == 0 {
		return nil
	}
	defer func() {
		if v := recover(); v != nil {
			errs = repeatError(&crash{value: v, stack: debug.Stack()}, len(ds))
		}
	}()
	errs = r.cfg.HandleBatch(ctx, ds)
	if errs != nil && len(errs) != len(ds) {
		err := fmt.Errorf("%w: %d for %d messages: %w", errMiscount, len(errs), len(ds), errors.Join(errs...))
		return repeatError(err, len(ds))
	}
	return errs
}

func repeatError(err error, n int) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// settleBatch acknowledges first what is done with; the rest is handed back
// after the pause.
func (r *runner) settleBatch(ctx context.Context, msgs []jetstream.Msg, ds []Delivery, errs []error, began time.Time) {
	finish := func(i int, d decision) {
		r.settle(msgs[i], d)
		r.leases.drop(msgs[i])
		r.report(&ds[i], d, time.Since(began), errs[i])
	}
	var back []int
	for i, err := range errs {
		d := decide(context.Cause(ctx), err)
		if d.action == nak {
			back = append(back, i)
			continue
		}
		finish(i, d)
	}
	if len(back) == 0 {
		return
	}
	r.holdOn()
	for _, i := range back {
		finish(i, decision{nak, "handed_back"})
	}
}
