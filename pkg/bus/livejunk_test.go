package bus_test

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/bustest"
)

// TestF41JunkInLiveStreamsIsDropped holds that messages that no writer of a
// request has written reach no reader and end no stream, neither by the tail
// nor from what is stored.
func TestF41JunkInLiveStreamsIsDropped(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	reg := prometheus.NewRegistry()
	b, err := bus.Connect(t.Context(), bustest.Config(f.broker), "reader", zap.NewNop(), bus.WithMetrics(reg))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(t.Context())
	w := liveWriter(t, f)
	early, err := b.ReadLive(liveID)
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	writeFrames(t, w, 0, 2)
	for _, junk := range []string{`{"type":"response.output_text.delta","delta":"forged"}`, "", "\xff\xff\xff"} {
		if _, err := f.js.Publish(t.Context(), "windlass.live."+liveID, []byte(junk)); err != nil {
			t.Fatal(err)
		}
		tail := nats.NewMsg("windlass.tail." + liveID) // beside the stream
		tail.Data = []byte(junk)
		if err := f.nc.PublishMsg(tail); err != nil {
			t.Fatal(err)
		}
	}
	writeFrames(t, w, 2, 4)
	readFrames(t, early, 0, 4)
	late, err := b.ReadLive(liveID)
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	if err := late.Backfill(t.Context()); err != nil {
		t.Fatal(err)
	}
	readFrames(t, late, 0, 4)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if got := family.GetMetric()[0].GetCounter().GetValue(); family.GetName() == "windlass_live_junk_total" && got < 6 {
			t.Errorf("%v messages are counted as junk, want 6 or more", got)
		}
	}
}
