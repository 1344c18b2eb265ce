package gateway

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/budget"
	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/run"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/livestream"
)

// liveStream makes a response in progress with about as many bytes of live
// frames. It returns its path.
func (s *stand) liveStream(size int) (path string) {
	s.tb.Helper()
	row := s.streamed()
	w := s.bus.OpenLive(s.tb.Context(), &stepv1.StepIdentity{
		RequestId: run.Hex(row.ID), Epoch: uint32(row.Epoch), Turn: 1, Attempt: 1,
	})
	defer w.Close()
	w.Write(livestream.Snapshot(event.Response("response.in_progress", []byte(`{"id":"resp_1"}`))))
	delta := event.Event{Type: "response.output_text.delta", Data: []byte(`"delta":"` + strings.Repeat("x", 200) + `"`)}
	for n := 0; n < size; n += 240 {
		w.Write(livestream.Frame(delta, ""))
	}
	if err := w.Flush(s.tb.Context()); err != nil {
		s.tb.Fatal(err)
	}
	return "/v1/responses/resp_" + run.Hex(row.ID) + "?stream=true"
}

// probe returns the 99th percentile of the times of n lists of a tenant.
func (s *stand) probe(key string, n int) time.Duration {
	s.tb.Helper()
	took := make([]time.Duration, n)
	for i := range took {
		began := time.Now()
		if got := s.as(key, http.MethodGet, "/v1/responses", ""); got.status != http.StatusOK {
			s.tb.Errorf("the probe is answered %d: %s", got.status, got.body)
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return took[n*99/100]
}

// TestF25SlowReaders lets 1,000 clients read streams at one byte a second, half
// of them archived ones. Together they hold no more than the budget; those
// beyond it are refused, and another tenant notices nothing.
func TestF25SlowReaders(t *testing.T) { //nolint:paralleltest // it measures the heap
	const readers, streams, probes = 1000, 10, 300
	var memory *budget.Budget
	s := raise(t, func(cfg *Config) {
		cfg.Runtime = process.NewRuntime("gateway", process.Config{MemoryMax: 512 << 20}, zap.NewNop())
		memory, cfg.PollInterval, cfg.MaxBody = cfg.Runtime.Memory, 20e6, 1<<20
	})
	if err := s.bus.Ensure(t.Context(), bus.Topology{Lanes: []bus.Lane{{Name: "m", Concurrency: 1}}}); err != nil {
		t.Fatal(err)
	}
	paths := make([]string, streams)
	for n := range paths {
		if n%2 == 0 {
			paths[n] = s.archivedStream(4 << 20)
		} else {
			paths[n] = s.liveStream(1 << 20)
		}
	}
	other, _ := s.mint("other")
	idle := s.probe(other, probes)
	before := heap()
	open, refused := make([]net.Conn, 0, readers), 0
	for n := range readers {
		conn := s.openBare(paths[n%streams])
		head := make([]byte, 12)
		if _, err := io.ReadFull(conn, head); err != nil {
			t.Fatal(err)
		}
		switch {
		case bytes.HasSuffix(head, []byte("200")):
			open = append(open, conn)
		case bytes.HasSuffix(head, []byte("429")), bytes.HasSuffix(head, []byte("503")):
			refused++
		default:
			t.Fatalf("a stream is answered %s", head)
		}
	}
	most := 0
	var busy time.Duration
	one := make([]byte, 1)
	for range 4 {
		second := time.After(time.Second)
		for _, conn := range open {
			_, _ = conn.Read(one) // one that was cut off is as good
		}
		busy = max(busy, s.probe(other, probes))
		most = max(most, heap()-before)
		<-second
	}
	t.Logf("%d readers at 1 B/s, %d refused: heap +%.1f MiB of a budget of %d MiB; p99 of another tenant %v, idle %v",
		len(open), refused, float64(most)/(1<<20), memory.Limit()>>20, busy, idle)
	if len(open) == 0 || int64(most) > memory.Limit() {
		t.Errorf("%d readers hold %d bytes, want some, and at most %d", len(open), most, memory.Limit())
	}
	if limit := max(2*idle, 500*time.Millisecond); busy > limit { // the machine may be busy, too
		t.Errorf("p99 of another tenant is %v beside slow readers, %v without them", busy, idle)
	}
}
