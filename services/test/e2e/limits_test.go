//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"windlass.dev/windlass/services/mock"
)

// stepLimit is small: under load the stream's content is replaced every few
// seconds.
const stepLimit = 4 << 20

// keepThroughput is the share of the throughput that a full step stream must
// leave at least. One run measures both, on a machine that may be busy.
const keepThroughput = 0.85

var (
	limitTime    = flag.Duration("limit-time", time.Minute, "how long the load runs on each kind of step stream")
	retainedFlag = flag.Int("retained", 1_500_000, "events in the test of the step stream's memory")
)

// TestF35StepStreamAtItsLimitUnderLoad holds that a step stream at its limit
// does not reduce the throughput, refuses nothing and repeats no call.
func TestF35StepStreamAtItsLimitUnderLoad(t *testing.T) {
	t.Parallel()
	alone(t)
	w := newWorld(t)
	const slices = 4
	var done, took [2]float64 // with a large limit, and with a small one
	first := int64(0)
	for _, small := range [slices]int{0, 1, 1, 0} { // in this order a drift of the machine affects both
		limit := [2]int{4 << 30, stepLimit}[small]
		w.restartWith(t, env("WINDLASS_STEP_MAX_BYTES", limit))
		began := time.Now()
		n := w.drive(t, first, *limitTime*2/slices)
		took[small] += time.Since(began).Seconds()
		done[small] += float64(n)
		first += 1_000_000
	}
	large, small := done[0]/took[0], done[1]/took[1]
	if small < keepThroughput*large {
		t.Errorf("%.1f runs a second with a full step stream, %.1f without", small, large)
	}
	for _, name := range services {
		if log := w.services[name].tail(1 << 20); strings.Contains(log, "result kept") {
			t.Errorf("%s had a result refused", name)
		}
	}
	t.Logf("%.0f runs of 3 x 5 calls, %.1f runs/s with a step stream of 4 GiB, %.1f with one of 4 MiB, 0 calls repeated",
		done[0]+done[1], large, small)
}

// restartWith restarts all services with more environment.
func (w *world) restartWith(t *testing.T, more string) {
	t.Helper()
	for _, name := range services {
		w.services[name].kill(t)
	}
	for _, name := range services {
		w.services[name].start(t, more)
	}
	for _, name := range services {
		w.services[name].awaitReady(t)
	}
}

// drive keeps 16 runs of 3 rounds of 5 calls in flight for a time and returns
// their number. It fails the test unless each run completes and each call is
// made once.
func (w *world) drive(t *testing.T, first int64, long time.Duration) int64 {
	t.Helper()
	w.mock.Reset()
	end := time.Now().Add(long)
	seed := atomic.Int64{}
	seed.Store(first)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for time.Now().Before(end) {
				p := mock.Plan{Seed: seed.Add(1), Rounds: 3, Width: 5}
				body, err := json.Marshal(map[string]any{
					"model": model, "input": p.Prompt(), "tools": []any{map[string]any{"type": "mcp", "server_label": "windlass"}},
				})
				var o Object
				if err == nil {
					err = w.api.do(t.Context(), http.MethodPost, "/v1/responses", body, &o)
				}
				if err != nil || o.Status != "completed" {
					t.Errorf("run %d is %q: %v", p.Seed, o.Status, err)
					return
				}
			}
		})
	}
	all.Wait()
	runs, calls := seed.Load()-first, 0
	for _, e := range w.mock.Ledger() {
		if e.Kind == "tool" {
			calls++
		}
	}
	if want := int(runs) * 15; calls != want {
		t.Errorf("%d tool calls in %d runs, want %d: each once", calls, runs, want)
	}
	return runs
}

// TestMemoryOfTheStepStream measures the server's memory for events in the step
// stream: with three subjects a request, and with one for each event.
func TestMemoryOfTheStepStream(t *testing.T) {
	t.Parallel()
	alone(t)
	const perRequest = 19
	for _, tt := range []struct {
		name    string
		subject func(request, event int) string
	}{
		{"three subjects a request", func(request, event int) string {
			kind := "tool_completed"
			switch {
			case event == perRequest-1:
				kind = "settled"
			case event%6 == 0:
				kind = "model_completed"
			}
			return fmt.Sprintf("windlass.step.default.%032x.%s", request, kind)
		}},
		{"a subject for each event", func(request, event int) string {
			return fmt.Sprintf("windlass.step.default.%032x.1-%d-%d-1.tool_completed", request, event/6+1, event%6)
		}},
	} {
		rss := retained(t, perRequest, tt.subject)
		t.Logf("NATS holds %d events under %s in %d MB", *retainedFlag, tt.name, rss>>20)
	}
}

// retained returns the resident memory, in bytes, of a server that stores
// events.
func retained(t *testing.T, perRequest int, subject func(request, event int) string) int64 {
	t.Helper()
	broker := newBroker(t, t.TempDir())
	broker.start(t)
	broker.awaitReady(t)
	defer broker.stop()
	nc, err := nats.Connect(broker.url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4096))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "WINDLASS_STEP", Subjects: []string{"windlass.step.>"}, MaxAge: 72 * time.Hour, AllowDirect: true,
	}); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, 250)
	for i := range *retainedFlag {
		if _, err := js.PublishAsync(subject(i/perRequest, i%perRequest), body, jetstream.WithStallWait(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	select {
	case <-js.PublishAsyncComplete():
	case <-ctx.Done():
		t.Fatal("events were not stored")
	}
	pause(t.Context(), 10*time.Second) // until the caches of the stream's store are empty
	return residentMemory(t, broker.current().cmd.Process.Pid)
}

func residentMemory(t *testing.T, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
