package toolrunner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"windlass.dev/windlass/pkg/bus/bustest"
	"windlass.dev/windlass/pkg/bus/message"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/registry"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/tool-runner/internal/runnertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func publish(t *testing.T, h *runnertest.Stand, c *stepv1.ToolCommand, traceparent string) {
	t.Helper()
	if refused, err := h.Publish(t.Context(), message.Tool(c).WithTrace(traceparent)); err != nil || refused != 0 {
		t.Fatalf("Publish = %d, %v", refused, err)
	}
}

// serve runs the service.
func serve(t *testing.T, s *runnertest.Stand, grace time.Duration) (stop func()) {
	t.Helper()
	return s.RunUntilEnd(t, func(ctx context.Context) error {
		return Run(ctx, Config{
			Bus: bustest.Config(s.Broker), Pools: []string{runnertest.Pool}, Slots: 8, Grace: grace, Registry: s.Tools, Runtime: s.Runtime,
		})
	})
}

func TestRun(t *testing.T) {
	t.Parallel()
	headers := make(chan http.Header, 1)
	h := runnertest.New(t, func(w http.ResponseWriter, r *http.Request) {
		headers <- r.Header
		runnertest.Answer(w, r)
	})
	stop := serve(t, h, time.Second)
	c := runnertest.Command("plain")
	trace := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	publish(t, h, c, trace)
	h.WantEvent(t, runnertest.Sunny(c))
	got := runnertest.Receive(t, headers, "call")
	for name, want := range map[string]string{
		"Windlass-Request-Id": "resp_" + c.GetIdentity().GetRequestId(), "Windlass-Call-Id": "call_1", "Windlass-Attempt": "1",
		"Idempotency-Key": c.GetIdempotencyKey(), "Traceparent": trace, "Content-Type": "application/json",
	} {
		if got.Get(name) != want {
			t.Errorf("header %s = %q, want %q", name, got.Get(name), want)
		}
	}
	if err := h.Runtime.Health.Ready(t.Context()); err != nil {
		t.Errorf("Ready = %v, want nil", err)
	}
	stop()
	h.WantCalls(t, 1)
	if got := outcomes(t, h); !cmp.Equal(got, map[string]float64{"done": 1}) {
		t.Errorf("outcomes = %v, want one done", got)
	}
	publish(t, h, c, "") // refused if the command were not acknowledged
	h.WaitForLog(t, "message handled")
	for _, line := range h.Logs.All() {
		if text := fmt.Sprint(line.Message, line.ContextMap()); strings.Contains(text, "sunny") || strings.Contains(text, `"n"`) {
			t.Errorf("log line holds arguments or output: %s", text)
		}
	}
}

// outcomes returns windlass_steps_total by outcome.
func outcomes(t *testing.T, h *runnertest.Stand) map[string]float64 {
	t.Helper()
	families, err := h.Runtime.Metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "windlass_steps_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "outcome" {
					found[l.GetValue()] += m.GetCounter().GetValue()
				}
			}
		}
	}
	return found
}

// TestOutageKeepsTheResult holds that a result waits for the broker, and that
// its command is not called again meanwhile.
func TestOutageKeepsTheResult(t *testing.T) {
	t.Parallel()
	began, release := make(chan struct{}, 2), make(chan struct{})
	h := runnertest.New(t, func(w http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		<-release
		runnertest.Answer(w, r)
	})
	stop := serve(t, h, time.Second)
	c := runnertest.Command("plain")
	publish(t, h, c, "")
	runnertest.Receive(t, began, "call")
	h.Broker.Stop()
	close(release)
	h.WaitForLog(t, "result kept")
	h.Broker.Start()
	h.WantEvent(t, runnertest.Sunny(c))
	h.WaitForLog(t, "result published late")
	stop()
	h.WantCalls(t, 1)
}

// TestLostStreamsKeepTheResult holds that a result survives the loss of all
// streams.
func TestLostStreamsKeepTheResult(t *testing.T) {
	t.Parallel()
	began, release := make(chan struct{}, 1), make(chan struct{})
	h := runnertest.New(t, func(w http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		<-release
		runnertest.Answer(w, r)
	})
	serve(t, h, time.Second)
	c := runnertest.Command("plain")
	publish(t, h, c, "")
	runnertest.Receive(t, began, "call")
	h.Broker.Stop()
	h.Broker.Wipe()
	close(release)
	h.WaitForLog(t, "result kept")
	h.Broker.Start()
	h.WantEvent(t, runnertest.Sunny(c))
	h.WantCalls(t, 1)
}

func TestCancelBreaksTheCallOff(t *testing.T) {
	t.Parallel()
	began, gone := make(chan struct{}, 1), make(chan struct{}, 1)
	h := runnertest.New(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the server notices a client that left only then
		began <- struct{}{}
		<-r.Context().Done()
		gone <- struct{}{}
	})
	stop := serve(t, h, time.Second)
	c := runnertest.Command("plain")
	publish(t, h, c, "")
	runnertest.Receive(t, began, "call")
	h.CancelHint(c.GetIdentity().GetRequestId()) // forged: the row waits for the call
	for h.Asked.Load() == 0 {
		<-time.After(time.Millisecond)
	}
	h.FixedAnswer.Store(&stepv1.ToolAnswer{Verdict: stepv1.ToolVerdict_TOOL_VERDICT_GONE})
	h.CancelHint(c.GetIdentity().GetRequestId())
	runnertest.Receive(t, gone, "end of the call")
	stop()
	h.WantNoEvent(t)
	if got := outcomes(t, h); !cmp.Equal(got, map[string]float64{"cancelled": 1}) {
		t.Errorf("outcomes = %v, want one cancelled", got)
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	t.Run("lets a call end", func(t *testing.T) {
		t.Parallel()
		began, release := make(chan struct{}, 1), make(chan struct{})
		h := runnertest.New(t, func(w http.ResponseWriter, r *http.Request) {
			began <- struct{}{}
			<-release
			runnertest.Answer(w, r)
		})
		stop := serve(t, h, runnertest.Timeout)
		c := runnertest.Command("plain")
		publish(t, h, c, "")
		runnertest.Receive(t, began, "call")
		time.AfterFunc(50*time.Millisecond, func() { close(release) }) // after the drain began
		stop()
		h.WantEvent(t, runnertest.Sunny(c))
		h.WantCalls(t, 1)
	})
	t.Run("hands back what outlasts the grace", func(t *testing.T) {
		t.Parallel()
		keys, first := make(chan string, 2), make(chan struct{}, 1)
		first <- struct{}{}
		h := runnertest.New(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			keys <- r.Header.Get("Idempotency-Key")
			select {
			case <-first:
				<-r.Context().Done()
			default:
				runnertest.Answer(w, r)
			}
		})
		stop := serve(t, h, 50*time.Millisecond)
		c := runnertest.Command("plain")
		publish(t, h, c, "")
		key := runnertest.Receive(t, keys, "call")
		stop()
		serve(t, h, time.Second)
		h.WantEvent(t, runnertest.Sunny(c))
		if again := runnertest.Receive(t, keys, "second call"); again != key || key != c.GetIdempotencyKey() {
			t.Errorf("keys are %q and %q, want %q twice", key, again, c.GetIdempotencyKey())
		}
	})
}

func TestRunRefusesAPoolWhoseCredentialIsUnset(t *testing.T) {
	t.Parallel()
	h := runnertest.New(t, runnertest.Answer)
	err := Run(t.Context(), Config{Bus: bustest.Config(h.Broker), Slots: 1, Registry: h.Tools, Runtime: h.Runtime})
	if !errors.Is(err, registry.ErrNoSecret) || !strings.Contains(err.Error(), `tool "locked"`) {
		t.Errorf("Run = %v, want ErrNoSecret of the tool locked", err)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	var cfg Config
	if err := process.Load(t.Context(), &cfg); err != nil {
		t.Fatalf("the defaults are refused: %v", err)
	}
	if cfg.Slots != 64 || cfg.Grace != 18*time.Second || len(cfg.Pools) != 0 {
		t.Errorf("slots %d, grace %v, pools %v; want 64, 18s and none", cfg.Slots, cfg.Grace, cfg.Pools)
	}
	tools, err := registry.New(registry.File{Tools: []registry.Tool{{Name: "x", URL: "https://tools.example.com"}}})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Registry, cfg.Pools = tools, []string{"b", "a", "b"}
	if _, pools, err := cfg.tools(); err != nil || !slices.Equal(pools, []string{"a", "b"}) {
		t.Errorf("tools = %v, %v, want pools a and b", pools, err)
	}
	cfg.Pools = nil
	if _, pools, err := cfg.tools(); err != nil || !slices.Equal(pools, []string{runnertest.Pool}) {
		t.Errorf("tools = %v, %v, want the registry's pools", pools, err)
	}
	cfg.Registry, cfg.RegistryFile = nil, ""
	if _, _, err := cfg.tools(); err == nil {
		t.Error("tools without a registry = nil error")
	}
	if err := (&Config{Pools: []string{""}, Grace: -1}).Validate(); err == nil {
		t.Error("Validate of a wrong config = nil")
	}
}
