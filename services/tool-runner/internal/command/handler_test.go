package command

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/run"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/tool-runner/internal/httptool"
	"windlass.dev/windlass/services/tool-runner/internal/runnertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newHandler returns a handler without its consumer.
func newHandler(t *testing.T, s *runnertest.Stand) *Handler {
	t.Helper()
	client := httptool.New(4)
	t.Cleanup(client.Close)
	return &Handler{
		Bus: s.Bus, Tools: s.Tools, Client: client, Log: s.Runtime.Log, Metrics: process.NewMetrics(s.Runtime.Metrics, "tool-runner"),
	}
}

func TestFailuresAreResults(t *testing.T) {
	t.Parallel()
	h := runnertest.New(t, func(w http.ResponseWriter, r *http.Request) {
		switch body, _ := io.ReadAll(r.Body); string(body) {
		case "404":
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "no such city")
		case "503":
			w.Header().Set("Retry-After", "2")
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			<-r.Context().Done()
		}
	})
	r := newHandler(t, h)
	overdue := runnertest.Command("plain")
	overdue.Remaining = durationpb.New(-time.Second)
	nearly := runnertest.Command("plain")
	nearly.Remaining = durationpb.New(2 * time.Second)
	tests := []struct {
		name      string
		command   *stepv1.ToolCommand
		arguments string
		want      run.Failure
		calls     int64
	}{
		{"unknown tool", runnertest.Command("nonesuch"), "", unknownTool, 0},
		{"after the deadline", overdue, "", tooLate, 0},
		{"no credential", runnertest.Command("locked"), "", noCredential, 0},
		{"refused address", runnertest.Command("guarded"), "", run.Failure{
			Code:    "address_refused",
			Message: "the tool's address is not one that may be called: it is loopback or private, which needs allow_private: true at the tool in the registry file",
		}, 0},
		{"404", runnertest.Command("plain"), "404", run.Failure{Code: "http_404", Message: "the tool answered 404 Not Found: no such city", HTTPStatus: 404}, 1},
		{"503", runnertest.Command("plain"), "503", run.Failure{
			Code: "http_503", Message: "the tool answered 503 Service Unavailable", Retriable: true, HTTPStatus: 503,
			RetryAfter: 2 * time.Second,
		}, 1},
		{"503 of an at-most-once tool", runnertest.Command("once"), "503", run.Failure{Code: "http_503", Message: "the tool answered 503 Service Unavailable", HTTPStatus: 503, RetryAfter: 2 * time.Second}, 1},
		{"timeout of the tool", runnertest.Command("brief"), "hang", run.Failure{Code: "timeout", Message: "the tool did not answer in time", Retriable: true}, 1},
		{"deadline of the request", nearly, "hang", run.Failure{Code: "timeout", Message: "the tool did not answer in time", Retriable: true}, 1},
	}
	for _, tt := range tests { // one after another: they share the channel of results
		before, began := h.Calls.Load(), time.Now()
		if tt.arguments != "" {
			tt.command.Arguments = []byte(tt.arguments)
		}
		handle(t, r, runnertest.Delivery(tt.command, 1), "failed")
		if diff := cmp.Diff(failedEvent(tt.command, tt.want, 0), h.NextEvent(t), runnertest.SameEvent); diff != "" {
			t.Errorf("%s: result differs (-want +got):\n%s", tt.name, diff)
		}
		if got := h.Calls.Load() - before; got != tt.calls {
			t.Errorf("%s: tool was called %d times, want %d", tt.name, got, tt.calls)
		}
		if took := time.Since(began); took > 20*time.Second { // the tool's own timeout is 30 s
			t.Errorf("%s: took %s, want it ended at the deadline", tt.name, took)
		}
	}
}

func TestCallWithResultIsNotMadeAgain(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]func(*stepv1.ToolCommand) consume.Delivery{
		"redelivered": func(c *stepv1.ToolCommand) consume.Delivery { return runnertest.Delivery(c, 2) },
		"too often":   func(c *stepv1.ToolCommand) consume.Delivery { return runnertest.Delivery(c, 60) },
		"repeat":      func(c *stepv1.ToolCommand) consume.Delivery { c.Repeat = true; return runnertest.Delivery(c, 1) },
		"hinted": func(c *stepv1.ToolCommand) consume.Delivery {
			d := runnertest.Delivery(c, 1)
			d.Hinted = true
			return d
		},
	} {
		for _, tool := range []string{"plain", "once"} {
			t.Run(name+" "+tool, func(t *testing.T) {
				t.Parallel()
				h := runnertest.New(t, runnertest.Answer)
				r := newHandler(t, h)
				c := runnertest.Command(tool)
				handle(t, r, runnertest.Delivery(c, 1), "")
				h.WantEvent(t, runnertest.Sunny(c))
				if got := h.Asked.Load(); got != 0 {
					t.Errorf("a first delivery asked %d times, want 0", got)
				}
				handle(t, r, again(proto.CloneOf(c)), "repeated")
				h.WantNoEvent(t)
				h.WantCalls(t, 1)
			})
		}
	}
}

func TestCallThatIsGoneIsNotMade(t *testing.T) {
	t.Parallel()
	h := runnertest.New(t, runnertest.Answer)
	h.FixedAnswer.Store(&stepv1.ToolAnswer{Verdict: stepv1.ToolVerdict_TOOL_VERDICT_GONE})
	r := newHandler(t, h)
	for _, n := range []int{2, 60} {
		if err := r.Handle(t.Context(), runnertest.Delivery(runnertest.Command("plain"), n)); !errors.Is(err, consume.ErrStale) {
			t.Errorf("Handle delivery %d = %v, want ErrStale", n, err)
		}
	}
	h.WantNoEvent(t)
	h.WantCalls(t, 0)
}

// TestUnansweredQuestionHoldsTheCommand holds that a call that may have been
// made waits for an answer without a limit.
func TestUnansweredQuestionHoldsTheCommand(t *testing.T) {
	t.Parallel()
	h := runnertest.New(t, runnertest.Answer)
	h.FixedAnswer.Store(&stepv1.ToolAnswer{}) // without a verdict
	r := newHandler(t, h)
	c := runnertest.Command("plain")
	ended := make(chan error, 1)
	go func() { ended <- r.Handle(t.Context(), runnertest.Delivery(c, 2)) }()
	h.WaitForLog(t, "no loop-orchestrator answered, the command waits")
	h.WantCalls(t, 0)
	h.FixedAnswer.Store(nil)
	if err := runnertest.Receive(t, ended, "end of the call"); err != nil {
		t.Errorf("Handle = %v, want nil", err)
	}
	h.WantEvent(t, runnertest.Sunny(c))

	h.FixedAnswer.Store(&stepv1.ToolAnswer{})
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { ended <- r.Handle(ctx, runnertest.Delivery(runnertest.Command("plain"), 2)) }()
	cancel(consume.ErrDraining)
	if err := runnertest.Receive(t, ended, "end of the wait"); !errors.Is(err, consume.ErrDraining) {
		t.Errorf("handle at the end of the grace = %v, want ErrDraining", err)
	}
}

// handle handles a delivery and checks the outcome; empty is "done".
func handle(t *testing.T, r *Handler, d consume.Delivery, outcome string) {
	t.Helper()
	err := r.Handle(t.Context(), d)
	var handled *consume.Handled
	switch {
	case errors.As(err, &handled):
		if handled.Outcome != outcome {
			t.Errorf("outcome of delivery %d is %q, want %q", d.Delivered, handled.Outcome, outcome)
		}
	case err != nil:
		t.Fatalf("Handle delivery %d = %v", d.Delivered, err)
	case outcome != "":
		t.Errorf("outcome of delivery %d is done, want %q", d.Delivered, outcome)
	}
}

func TestRedeliveryWithoutResultCallsAgain(t *testing.T) {
	t.Parallel()
	h := runnertest.New(t, runnertest.Answer)
	c := runnertest.Command("plain")
	c.Repeat = true
	if err := newHandler(t, h).Handle(t.Context(), runnertest.Delivery(c, 5)); err != nil {
		t.Fatal(err)
	}
	h.WantEvent(t, runnertest.Sunny(c))
	h.WantCalls(t, 1)
}

// TestTwoDeliveriesAtOnce holds that a command that is redelivered while its
// runner still handles it is not called twice.
func TestTwoDeliveriesAtOnce(t *testing.T) {
	t.Parallel()
	began, release := make(chan struct{}, 2), make(chan struct{})
	h := runnertest.New(t, func(w http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		<-release
		runnertest.Answer(w, r)
	})
	r := newHandler(t, h)
	c := runnertest.Command("plain")
	var wg sync.WaitGroup
	handle := func(n int) {
		var handled *consume.Handled
		if err := r.Handle(t.Context(), runnertest.Delivery(c, n)); err != nil && !errors.As(err, &handled) {
			t.Errorf("Handle delivery %d = %v, want nil", n, err)
		}
	}
	wg.Go(func() { handle(1) })
	<-began
	wg.Go(func() { handle(1) }) // not even known as a redelivery
	close(release)
	wg.Wait()
	h.WantEvent(t, runnertest.Sunny(c))
	h.WantNoEvent(t)
	h.WantCalls(t, 1)

	ctx, cancel := context.WithCancelCause(t.Context())
	_, leave, err := r.inflight.Enter(ctx, "s")
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	cancel(consume.ErrCancelled)
	if _, _, err := r.inflight.Enter(ctx, "s"); !errors.Is(err, consume.ErrCancelled) {
		t.Errorf("Enter with an ended context = %v, want its cause", err)
	}
}

func TestTooLargeResult(t *testing.T) {
	t.Parallel()
	h := runnertest.New(t, runnertest.Answer)
	c := runnertest.Command("plain")
	huge := completedEvent(c, httptool.Output{Text: []byte(strings.Repeat("x", 2<<20))}, time.Second)
	if err := newHandler(t, h).publishResult(t.Context(), runnertest.Delivery(c, 1), huge); err != nil {
		t.Fatalf("publish = %v, want nil", err)
	}
	h.WantEvent(t, failedEvent(c, outputTooLarge, time.Second))
}

func TestEndedContexts(t *testing.T) {
	t.Parallel()
	began := make(chan struct{}, 1)
	h := runnertest.New(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the server notices a client that left only then
		began <- struct{}{}
		<-r.Context().Done()
	})
	r := newHandler(t, h)
	for _, cause := range []error{consume.ErrCancelled, consume.ErrDraining} {
		ctx, cancel := context.WithCancelCause(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Handle(ctx, runnertest.Delivery(runnertest.Command("plain"), 1)) }()
		<-began
		cancel(cause)
		if err := <-ended; !errors.Is(err, cause) {
			t.Errorf("handle of a call that was broken off = %v, want %v", err, cause)
		}
		h.WantNoEvent(t)

		c := runnertest.Command("plain")
		err := r.publishResult(ctx, runnertest.Delivery(c, 1), runnertest.Sunny(c))
		if errors.Is(cause, consume.ErrCancelled) {
			if !errors.Is(err, cause) {
				t.Errorf("publish for a cancelled request = %v, want ErrCancelled", err)
			}
			h.WantNoEvent(t)
			continue
		}
		if err != nil { // what is there at the end of the grace is still published
			t.Errorf("publish at the end of the grace = %v, want nil", err)
		}
		h.WantEvent(t, runnertest.Sunny(c))
	}
}
