package bus_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"windlass.dev/windlass/pkg/bus/live"
)

func TestReadersOfOneStreamShareASubscription(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	w := liveWriter(t, f)
	none := subscriptions(t, f)
	const many = 20
	readers := make([]*live.Reader, many)
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
	for _, r := range readers[1:] { // the first does not read, and delays no other
		reading.Go(func() { readFrames(t, r, 0, manyFrames) })
	}
	writeFrames(t, w, 0, manyFrames)
	reading.Wait()
	for _, r := range readers[1:] {
		r.Close()
	}
	writeFrames(t, w, manyFrames, manyFrames+1)
	readFrames(t, readers[0], 0, manyFrames+1) // it reads on from the stream
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

// What a crowd of late readers costs the server is not theirs one by one: a
// thousand of them would be sent more than the connection takes.
func TestReadersWhoComeLateTogetherReadTogether(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	writeFrames(t, liveWriter(t, f), 0, manyFrames)
	var asked atomic.Int64
	sub, err := f.nc.Subscribe("$JS.API.DIRECT.GET.>", func(*nats.Msg) { asked.Add(1) })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := f.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	const many = 30
	readers := make([]*live.Reader, many)
	for i := range readers {
		readers[i] = reader(t, f)
	}
	var reading sync.WaitGroup
	for _, r := range readers {
		reading.Go(func() {
			if err := r.Backfill(t.Context()); err != nil {
				t.Error(err)
				return
			}
			readFrames(t, r, 0, manyFrames)
		})
	}
	reading.Wait()
	if err := f.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	const alone = manyFrames/64 + 1 // what one of them asks
	if got := asked.Load(); got < alone || got > alone*many/2 {
		t.Errorf("%d readers asked %d times, one alone asks %d times", many, got, alone)
	}
}
