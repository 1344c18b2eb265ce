package expiry

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/storetest"
	"windlass.dev/windlass/services/claimer/internal/claimertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(storetest.Suite{M: m}) }

// TestAnExpiredRequestIsAnnounced holds that an expiry stops the work in
// flight, wakes the clients that wait, and leaves the rest to the finalizer. A
// request before its deadline is left alone.
func TestAnExpiredRequestIsAnnounced(t *testing.T) {
	t.Parallel()
	w := claimertest.Worker(t, claimertest.Database(t))
	cancelled, done := make(chan string, 9), make(chan string, 9)
	for _, listen := range []func() (func(), error){
		func() (func(), error) { return w.Bus.OnCancel(func(id string) { cancelled <- id }) },
		func() (func(), error) { return w.Bus.OnDone(func(id string) { done <- id }) },
	} {
		stop, err := listen()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(stop)
	}
	early := claimertest.Accept(t, w)
	late := claimertest.Accept(t, w, func(n *store.NewRequest) { n.Timeout, n.Streamed = time.Microsecond, true })
	expireOverdue(t.Context(), w)

	if row, err := w.Store.Look(t.Context(), early); err != nil || row.Status != run.Queued {
		t.Errorf("the row before its deadline is %+v, %v, want it queued", row, err)
	}
	row, err := w.Store.Look(t.Context(), late)
	if err != nil || row.Status != run.Expired || row.Reason != run.CodeDeadlineExceeded || !row.Live {
		t.Errorf("the row is %+v, %v, want it expired, and live for its after-work", row, err)
	}
	for name, hints := range map[string]chan string{"cancel": cancelled, "done": done} {
		select {
		case id := <-hints:
			if id != run.Hex(late) {
				t.Errorf("the %s hint is of %s, want %s", name, id, run.Hex(late))
			}
		case <-time.After(20 * time.Second):
			t.Errorf("no %s hint", name)
		}
	}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	finals := make(chan string, 1)
	err = w.Bus.Run(ctx, consume.Config{Work: consume.FinalWork(), Slots: 1, Handle: func(_ context.Context, d consume.Delivery) error {
		finals <- d.Final.GetRequestId()
		stop()
		return nil
	}})
	if err != nil || len(finals) != 1 || <-finals != run.Hex(late) {
		t.Errorf("no final of the expired request was published: %v", err)
	}
}
