package bus_test

import (
	"sync"
	"testing"

	"windlass.dev/windlass/pkg/bus"
)

func TestReadersOfOneStreamShareASubscription(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	w := liveWriter(t, f)
	none := subscriptions(t, f)
	const many = 20
	readers := make([]*bus.LiveReader, many)
	for i := range readers {
		r, err := f.ReadLive(liveID)
		if err != nil {
			t.Fatal(err)
		}
		readers[i] = r
	}
	if got := subscriptions(t, f) - none; got != 1 {
		t.Errorf("%d readers have %d subscriptions, want 1", many, got)
	}
	var reading sync.WaitGroup
	for _, r := range readers[1:] { // the first does not read, and is in nobody's way
		reading.Go(func() { hear(t, r, 0, manyFrames) })
	}
	tell(t, w, 0, manyFrames)
	reading.Wait()
	for _, r := range readers[1:] {
		r.Close()
	}
	tell(t, w, manyFrames, manyFrames+1)
	hear(t, readers[0], 0, manyFrames+1) // it reads on from the stream
	readers[0].Close()
	if got := subscriptions(t, f) - none; got != 0 {
		t.Errorf("%d subscriptions are left of readers that have closed", got)
	}
}

// subscriptions counts the server's, after everything that was asked of it.
func subscriptions(tb testing.TB, f *fixture) uint32 {
	tb.Helper()
	if err := f.Ready(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return f.broker.Server().NumSubscriptions()
}
