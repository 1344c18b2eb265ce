// Package wait waits for the ends of requests and cancels those whose clients
// have gone.
//
// Every wait ends: with the answer, with the request's deadline and Slack, or
// with the drain. A hint on the bus wakes a wait at once; if the hint is lost,
// Poll finds the end within an interval (TestWaitersMissNothing).
//
// A foreground client that hangs up cancels its request, unless it sent an
// Idempotency-Key: the client that lost its connection is the one that sends
// the request again. An accept of unknown outcome is cancelled afterwards; if
// the gateway is killed before that, the request runs to its end
// (TestAcceptOfUnknownOutcomeIsCancelled in package gateway).
package wait

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/retry"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
)

// Slack is how long a wait goes on beyond the request's deadline: the sweep
// needs a moment to make it a status.
const Slack = 10 * time.Second

// Waiters wait for the ends of requests, for the clients of this gateway. They
// are safe for concurrent use.
type Waiters struct {
	watches   watches
	canceller *Canceller
	answers   *answers.Store
	tasks     *sync.WaitGroup
	log       *zap.Logger
	poll      time.Duration
}

// NewWaiters returns Waiters that look for missed ends once in poll.
func NewWaiters(a *answers.Store, c *Canceller, poll time.Duration, tasks *sync.WaitGroup, log *zap.Logger) *Waiters {
	return &Waiters{watches: newWatches(), canceller: c, answers: a, tasks: tasks, log: log, poll: poll}
}

// Watch begins a wait, which Forget ends. The channel is closed at the next
// hint that the request has ended. Begin before the row is written or read:
// then no end is missed.
func (w *Waiters) Watch(id uuid.UUID) (ended <-chan struct{}) { return w.watches.watch(id) }

// Forget ends a wait.
func (w *Waiters) Forget(id uuid.UUID) { w.watches.forget(id) }

// HandleHint takes the hint that a request has ended. It may be about a request
// that no client of this gateway waits for.
func (w *Waiters) HandleHint(busID string) {
	if id, err := run.ParseHex(busID); err == nil {
		w.watches.wake(id)
	}
}

// Poll reads the rows of all waits, with one statement an interval, for ends
// whose hint was lost, and cancels requests that no client waits for. It
// returns when ctx ends.
func (w *Waiters) Poll(ctx context.Context) {
	failed := false
	for retry.Sleep(ctx, w.poll) {
		w.canceller.cancelDue(ctx)
		ids := w.watches.ids()
		if len(ids) == 0 {
			continue
		}
		done, err := w.answers.Finished(ctx, ids)
		if err != nil && !failed && ctx.Err() == nil && !httpapi.Unavailable(err) { // the store logs an outage
			w.log.Error("waiting requests could not be looked at", zap.Error(err))
		}
		failed = err != nil
		for _, id := range done {
			w.watches.wake(id)
		}
	}
}

// LookUp reads a request of a tenant.
func (w *Waiters) LookUp(ctx context.Context, tenant string, id uuid.UUID) (*answers.Answer, error) {
	ctx, cancel := query.WithTimeout(ctx)
	defer cancel()
	return query.Retry(
		ctx, w.tasks, func(ctx context.Context) (*answers.Answer, error) { return w.answers.Read(ctx, tenant, id) },
	)
}

// Await returns the request when it has ended, at the latest at its deadline.
// ended is the channel of Watch. If the client hangs up, Await cancels the
// request, unless it has an Idempotency-Key, and returns httpapi.ErrHungUp.
func (w *Waiters) Await(ctx context.Context, n store.NewRequest, ended <-chan struct{}) (*answers.Answer, error) {
	late := time.NewTimer(n.Timeout + Slack)
	defer late.Stop()
	for {
		select {
		case <-ended:
		case <-late.C:
			return nil, w.GiveUp(n, 0)
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), process.ErrDraining) {
				return nil, w.GiveUp(n, httpapi.RetryAfter)
			}
			if n.Once.Key == "" { // with a key the client may send it again
				w.canceller.HangUp(n.Tenant, n.ID)
			}
			return nil, httpapi.ErrHungUp
		}
		ended = w.watches.ended(n.ID) // before the read, so that an end between the two is not missed
		a, err := w.LookUp(ctx, n.Tenant, n.ID)
		switch {
		case err == nil && a.Status.Terminal():
			return a, nil
		case err != nil && !httpapi.Unavailable(err) && ctx.Err() == nil:
			return nil, err
		}
		// The hint was wrong, or the database is away: Poll wakes the wait
		// again.
	}
}

// GiveUp ends a wait that the server cannot continue, and returns the error for
// the client. A request that is not stored and has no key has no other reader:
// it is cancelled, and the client has to send it again.
func (w *Waiters) GiveUp(n store.NewRequest, after time.Duration) *fault.Error {
	if n.Once.Key != "" {
		f := pending(n.ID, after)
		f.Message = "The request was accepted and is still being processed, " +
			"but this server can no longer wait for it. " +
			"Send it again with the same Idempotency-Key."
		return f
	}
	if n.Unstored {
		w.canceller.HangUp(n.Tenant, n.ID)
		return fault.Unavailable(after)
	}
	return pending(n.ID, after)
}

// pending names the response for a client that waits no longer.
func pending(id uuid.UUID, after time.Duration) *fault.Error {
	f := fault.Unavailable(after)
	f.Code = "response_pending"
	f.Message = fmt.Sprintf(
		"The response '%s' was accepted and is still being processed, but this server can no longer wait "+
			"for it. Retrieve it with GET /v1/responses/%[1]s.",
		run.ResponseID.Format(id),
	)
	return f
}
