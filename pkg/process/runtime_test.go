package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
)

func TestReady(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := NewHealth()
		var calls atomic.Int64
		var fault atomic.Pointer[error]
		h.Check("nats", func(context.Context) error {
			calls.Add(1)
			if err := fault.Load(); err != nil {
				return *err
			}
			return nil
		})
		hanging := make(chan struct{})
		h.Check("postgres", func(ctx context.Context) error {
			select {
			case <-hanging:
				<-ctx.Done()
				return ctx.Err()
			default:
				return nil
			}
		})

		for range 5 {
			if err := h.Ready(t.Context()); err != nil {
				t.Fatalf("Ready = %v, want nil", err)
			}
		}
		if got := calls.Load(); got != 1 {
			t.Errorf("5 probes within 2 s made %d calls of the check, want 1", got)
		}

		down := errors.New("no route")
		fault.Store(&down)
		if err := h.Ready(t.Context()); err != nil {
			t.Errorf("Ready within 2 s of a good answer = %v, want that answer", err)
		}
		<-time.After(checkFresh)
		close(hanging)
		began := time.Now()
		err := h.Ready(t.Context())
		if !errors.Is(err, down) || !errors.Is(err, errCheckTimeout) {
			t.Errorf("Ready = %v, want both checks' faults", err)
		}
		if took := time.Since(began); took != checkTimeout {
			t.Errorf("Ready took %v with a check that hangs, want %v", took, checkTimeout)
		}

		h.Drain()
		if err := h.Ready(t.Context()); !errors.Is(err, ErrDraining) {
			t.Errorf("Ready while draining = %v, want ErrDraining", err)
		}
	})
}

// TestReadyOutlivesTheProbe holds that a probe which hangs up leaves no fault
// behind.
func TestReadyOutlivesTheProbe(t *testing.T) {
	t.Parallel()
	h := NewHealth()
	h.Check("nats", func(ctx context.Context) error { return ctx.Err() })
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Ready(gone); err != nil {
		t.Errorf("Ready for a probe that hung up = %v, want the check's answer, nil", err)
	}
}

// admin is a served Runtime under test.
type admin struct {
	url   string
	ended chan error
}

func serveForTest(t *testing.T, ctx context.Context, rt *Runtime, parts ...func(context.Context) error) admin {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := admin{url: "http://" + listener.Addr().String(), ended: make(chan error, 1)}
	go func() { a.ended <- rt.ServeOn(ctx, listener, parts...) }()
	return a
}

func (a admin) probe(t *testing.T, path string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func (a admin) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-a.ended:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("Serve has not returned")
		return nil
	}
}

func TestServeAnswersThroughADrain(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	rt := NewRuntime("test", Config{}, zap.NewNop())
	NewMetrics(rt.Metrics, "gateway").Step("model", "done", time.Second)
	NewMetrics(rt.Metrics, "claimer").Step("model", "done", time.Second)

	draining, finish := make(chan error, 1), make(chan struct{})
	a := serveForTest(t, ctx, rt, func(ctx context.Context) error {
		<-ctx.Done()
		draining <- context.Cause(ctx)
		<-finish
		return nil
	})

	if code, body := a.probe(t, "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "starting") {
		t.Errorf("readyz before the service serves = %d %s, want 503, starting", code, body)
	}
	rt.Health.Check("there", func(context.Context) error { return nil })
	if code, body := a.probe(t, "/readyz"); code != http.StatusOK {
		t.Errorf("readyz = %d %s, want 200", code, body)
	}
	_, series := a.probe(t, "/metrics")
	for _, want := range []string{
		`windlass_steps_total{kind="model",outcome="done",service="gateway"} 1`,
		`windlass_steps_total{kind="model",outcome="done",service="claimer"} 1`,
		`windlass_step_duration_seconds_sum{kind="model",service="gateway"} 1`,
		"go_goroutines",
	} {
		if !strings.Contains(series, want) {
			t.Errorf("metrics lack %s", want)
		}
	}

	cancel(ErrDraining)
	if cause := <-draining; !errors.Is(cause, ErrDraining) {
		t.Errorf("part's context ended because %v, want ErrDraining", cause)
	}
	for !errors.Is(rt.Health.Ready(t.Context()), ErrDraining) { // AfterFunc runs beside the part
		<-time.After(time.Millisecond)
	}
	if code, body := a.probe(t, "/readyz"); code != http.StatusServiceUnavailable || body != "draining\n" {
		t.Errorf("readyz while draining = %d %q, want 503 draining", code, body)
	}
	if code, _ := a.probe(t, "/livez"); code != http.StatusOK {
		t.Errorf("livez while draining = %d, want 200", code)
	}
	close(finish)
	if err := a.wait(t); err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
}

func TestServeEndsWithTheFirstError(t *testing.T) {
	t.Parallel()
	fault := errors.New("stream lost")
	a := serveForTest(t, t.Context(), NewRuntime("test", Config{}, zap.NewNop()),
		func(context.Context) error { return fault },
		func(ctx context.Context) error { <-ctx.Done(); return nil },
	)
	if err := a.wait(t); !errors.Is(err, fault) {
		t.Errorf("Serve = %v, want %v", err, fault)
	}
}

func TestServeWithoutParts(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	a := serveForTest(t, ctx, NewRuntime("test", Config{}, zap.NewNop()))
	if code, _ := a.probe(t, "/livez"); code != http.StatusOK {
		t.Errorf("livez = %d, want 200", code)
	}
	cancel()
	if err := a.wait(t); err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
}

func TestServeReportsATakenAddress(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	rt := NewRuntime("test", Config{AdminListen: taken.Addr().String()}, zap.NewNop())
	err = rt.Serve(t.Context(), func(context.Context) error { panic("part was started") })
	var op *net.OpError
	if !errors.As(err, &op) {
		t.Errorf("Serve on a taken address = %v, want the listener's error", err)
	}
}

func TestLogger(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log, err := NewLogger(&out, "info", "json")
	if err != nil {
		t.Fatal(err)
	}
	rt := NewRuntime("dev", Config{}, log).For("claimer")
	rt.Log.Debug("row read")
	rt.Log.Info("step handled", zap.Duration("took", 1500*time.Millisecond), zap.String("outcome", "done"))

	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("log is not one JSON line: %v\n%s", err, out.String())
	}
	at, err := time.Parse(time.RFC3339, got["time"].(string))
	if err != nil || at.Location() != time.UTC {
		t.Errorf("time = %v (%v), want UTC in RFC 3339", got["time"], err)
	}
	delete(got, "time")
	want := map[string]any{"level": "info", "msg": "step handled", "service": "claimer", "took": 1.5, "outcome": "done"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("line differs (-want +got):\n%s", diff)
	}
	if strings.Count(out.String(), `"service"`) != 1 {
		t.Errorf("line names the service more than once: %s", out.String())
	}

	for _, bad := range [][2]string{{"loud", "json"}, {"info", "xml"}} {
		if _, err := NewLogger(&out, bad[0], bad[1]); err == nil {
			t.Errorf("NewLogger(level %q, format %q) = nil error, want one", bad[0], bad[1])
		}
	}
}
