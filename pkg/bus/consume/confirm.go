package consume

import (
	"sync"
	"time"

	"windlass.dev/windlass/pkg/retry"
)

// watchCancels cancels handlers by cancel hints, each of which is confirmed
// first if the Config says how. stop waits for the confirmations; the
// handlers must have ended.
func (r *runner) watchCancels() (stop func(), err error) {
	hear := r.cancels.cancel
	var mu sync.Mutex // a hint may still be heard while stop runs
	stopped := false
	if r.cfg.Confirm != nil {
		hear = func(id string) {
			mu.Lock()
			defer mu.Unlock()
			if call := r.cancels.confirm(id); call != nil && !stopped {
				r.confirms.Go(func() { r.confirm(id, call) })
			}
		}
	}
	unsubscribe, err := r.OnCancel(hear)
	if err != nil {
		return nil, err
	}
	return func() {
		unsubscribe()
		mu.Lock()
		stopped = true
		mu.Unlock()
		r.confirms.Wait()
	}, nil
}

const (
	// confirmPause is the least time between two questions about a request:
	// hints cost nothing to forge. A hint that comes meanwhile is asked about
	// at its end.
	confirmPause = 500 * time.Millisecond
	// maxConfirms bounds the questions of one runner at the same time.
	maxConfirms = 32
)

// confirm cancels the request's calls in flight if it is cancelled. A call that
// ends before the answer leaves the question to the next one.
func (r *runner) confirm(id string, call *liveCall) {
	for call != nil {
		gone, answered := r.askOnce(call)
		if gone {
			r.cancels.cancel(id)
		} else if answered {
			retry.Sleep(call.ctx, confirmPause)
		}
		call = r.cancels.next(id, !answered)
	}
}

// askOnce confirms a hint by one call. answered is false if the call ended
// before the answer.
func (r *runner) askOnce(call *liveCall) (gone, answered bool) {
	select {
	case r.questions <- struct{}{}:
	case <-call.ctx.Done():
		return false, false
	}
	defer func() { <-r.questions }()
	gone = r.cfg.Confirm(call.ctx, call.delivery)
	return gone, gone || call.ctx.Err() == nil
}
