package consume

import "sync"

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

// confirm cancels the request's calls in flight if it is cancelled. A call that
// ends before the answer leaves the question to the next one.
func (r *runner) confirm(id string, call *liveCall) {
	for call != nil {
		gone := r.cfg.Confirm(call.ctx, call.delivery)
		if gone {
			r.cancels.cancel(id)
		}
		call = r.cancels.next(id, !gone && call.ctx.Err() != nil)
	}
}
