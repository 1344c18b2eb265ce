package toolrunner

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
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"windlass.dev/windlass/pkg/bus"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/tool-runner/internal/httptool"
)

func answer(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "sunny") }

// sameEvent leaves out what differs from run to run.
var sameEvent = cmp.Options{
	protocmp.Transform(),
	protocmp.IgnoreFields(&stepv1.StepEvent{}, "event_time"),
	protocmp.IgnoreFields(&stepv1.ToolCompleted{}, "took_us"),
	protocmp.IgnoreFields(&stepv1.ToolFailed{}, "took_us"),
}

func sunny(c *stepv1.ToolCommand) *stepv1.StepEvent {
	return completed(c, httptool.Output{Text: []byte("sunny"), Size: 5}, time.Millisecond)
}

func (h *harness) wantEvent(t *testing.T, want *stepv1.StepEvent) {
	t.Helper()
	if diff := cmp.Diff(want, h.event(t), sameEvent); diff != "" {
		t.Errorf("result differs (-want +got):\n%s", diff)
	}
}

func (h *harness) wantNoEvent(t *testing.T) {
	t.Helper()
	select {
	case e := <-h.events:
		t.Errorf("result %v was published, want none", e)
	default:
	}
}

func TestFailuresAreResults(t *testing.T) {
	t.Parallel()
	h := setUp(t, func(w http.ResponseWriter, r *http.Request) {
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
	r := h.runner(t)
	overdue := command("plain")
	overdue.DeadlineTime = timestamppb.New(time.Now().Add(-time.Second))
	nearly := command("plain")
	nearly.DeadlineTime = timestamppb.New(time.Now().Add(2 * time.Second))
	tests := []struct {
		name      string
		command   *stepv1.ToolCommand
		arguments string
		want      fault
		calls     int64
	}{
		{"unknown tool", command("nonesuch"), "", unknownTool, 0},
		{"after the deadline", overdue, "", tooLate, 0},
		{"no credential", command("locked"), "", noCredential, 0},
		{"refused address", command("guarded"), "", fault{
			code:    "address_refused",
			message: "the tool's address is not one that may be called: it is loopback or private, which needs allow_private: true at the tool in the registry file",
		}, 0},
		{"404", command("plain"), "404", fault{
			code: "http_404", message: "the tool answered 404 Not Found: no such city", httpStatus: 404,
		}, 1},
		{"503", command("plain"), "503", fault{
			code: "http_503", message: "the tool answered 503 Service Unavailable", retriable: true, httpStatus: 503,
			retryAfter: 2 * time.Second,
		}, 1},
		{"503 of an at-most-once tool", command("once"), "503", fault{
			code: "http_503", message: "the tool answered 503 Service Unavailable", httpStatus: 503, retryAfter: 2 * time.Second,
		}, 1},
		{"timeout of the tool", command("brief"), "hang", fault{
			code: "timeout", message: "the tool did not answer in time", retriable: true,
		}, 1},
		{"deadline of the request", nearly, "hang", fault{
			code: "timeout", message: "the tool did not answer in time", retriable: true,
		}, 1},
	}
	for _, tt := range tests { // one after another: they share the channel of results
		before := h.calls.Load()
		if tt.arguments != "" {
			tt.command.Arguments = []byte(tt.arguments)
		}
		h.handles(t, r, delivery(tt.command, 1), "failed")
		if diff := cmp.Diff(failure(tt.command, tt.want, 0), h.event(t), sameEvent); diff != "" {
			t.Errorf("%s: result differs (-want +got):\n%s", tt.name, diff)
		}
		if got := h.calls.Load() - before; got != tt.calls {
			t.Errorf("%s: tool was called %d times, want %d", tt.name, got, tt.calls)
		}
	}
}

func TestCallWithResultIsNotMadeAgain(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]func(*stepv1.ToolCommand) bus.Delivery{
		"redelivered": func(c *stepv1.ToolCommand) bus.Delivery { return delivery(c, 2) },
		"too often":   func(c *stepv1.ToolCommand) bus.Delivery { return delivery(c, 60) },
		"repeat":      func(c *stepv1.ToolCommand) bus.Delivery { c.Repeat = true; return delivery(c, 1) },
		"hinted": func(c *stepv1.ToolCommand) bus.Delivery {
			d := delivery(c, 1)
			d.Hinted = true
			return d
		},
	} {
		for _, tool := range []string{"plain", "once"} {
			t.Run(name+" "+tool, func(t *testing.T) {
				t.Parallel()
				h := setUp(t, answer)
				r := h.runner(t)
				c := command(tool)
				h.handles(t, r, delivery(c, 1), "")
				h.wantEvent(t, sunny(c))
				if got := h.asked.Load(); got != 0 {
					t.Errorf("a first delivery asked %d times, want 0", got)
				}
				h.handles(t, r, again(proto.CloneOf(c)), "repeated")
				h.wantNoEvent(t)
				h.wantCalls(t, 1)
			})
		}
	}
}

func TestCallThatIsGoneIsNotMade(t *testing.T) {
	t.Parallel()
	h := setUp(t, answer)
	h.answer.Store(&stepv1.ToolAnswer{Verdict: stepv1.ToolVerdict_TOOL_VERDICT_GONE})
	r := h.runner(t)
	for _, n := range []int{2, 60} {
		if err := r.handle(t.Context(), delivery(command("plain"), n)); !errors.Is(err, bus.ErrStale) {
			t.Errorf("handle delivery %d = %v, want ErrStale", n, err)
		}
	}
	h.wantNoEvent(t)
	h.wantCalls(t, 0)
}

// TestUnansweredQuestionHoldsTheCommand holds that a call that may have been
// made waits for an answer, without a limit.
func TestUnansweredQuestionHoldsTheCommand(t *testing.T) {
	t.Parallel()
	h := setUp(t, answer)
	h.answer.Store(&stepv1.ToolAnswer{}) // without a verdict
	r := h.runner(t)
	c := command("plain")
	ended := make(chan error, 1)
	go func() { ended <- r.handle(t.Context(), delivery(c, 2)) }()
	h.logged(t, "no loop-orchestrator answered, the command waits")
	h.wantCalls(t, 0)
	h.answer.Store(nil)
	if err := receive(t, ended, "end of the call"); err != nil {
		t.Errorf("handle = %v, want nil", err)
	}
	h.wantEvent(t, sunny(c))

	h.answer.Store(&stepv1.ToolAnswer{})
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { ended <- r.handle(ctx, delivery(command("plain"), 2)) }()
	cancel(bus.ErrDraining)
	if err := receive(t, ended, "end of the wait"); !errors.Is(err, bus.ErrDraining) {
		t.Errorf("handle at the end of the grace = %v, want ErrDraining", err)
	}
}

// handles handles a delivery, and checks the outcome; empty is "done".
func (h *harness) handles(t *testing.T, r *runner, d bus.Delivery, outcome string) {
	t.Helper()
	err := r.handle(t.Context(), d)
	var handled *bus.Handled
	switch {
	case errors.As(err, &handled):
		if handled.Outcome != outcome {
			t.Errorf("outcome of delivery %d is %q, want %q", d.Delivered, handled.Outcome, outcome)
		}
	case err != nil:
		t.Fatalf("handle delivery %d = %v", d.Delivered, err)
	case outcome != "":
		t.Errorf("outcome of delivery %d is done, want %q", d.Delivered, outcome)
	}
}

func TestRedeliveryWithoutResultCallsAgain(t *testing.T) {
	t.Parallel()
	h := setUp(t, answer)
	c := command("plain")
	c.Repeat = true
	if err := h.runner(t).handle(t.Context(), delivery(c, 5)); err != nil {
		t.Fatal(err)
	}
	h.wantEvent(t, sunny(c))
	h.wantCalls(t, 1)
}

func TestAtMostOnce(t *testing.T) {
	t.Parallel()
	h := setUp(t, answer)
	r := h.runner(t)
	marker := func(c *stepv1.ToolCommand) *stepv1.ToolCommand { // as a runner that died in its call leaves it
		e := event(c)
		e.Event = &stepv1.StepEvent_ToolStarted{ToolStarted: &stepv1.ToolStarted{}}
		if first, err := h.Begin(t.Context(), pool, e, ""); err != nil || !first {
			t.Fatalf("Begin = %v, %v", first, err)
		}
		return c
	}
	repeat := func(c *stepv1.ToolCommand) *stepv1.ToolCommand {
		c.Repeat = true
		return c
	}
	tests := []struct {
		name      string
		command   *stepv1.ToolCommand
		delivered int
		uncertain bool
		want      func(*stepv1.ToolCommand) *stepv1.StepEvent
	}{
		{"first", command("once"), 1, false, sunny},
		{"handed back before its mark", command("once"), 2, false, sunny},
		{"marked by another", marker(command("once")), 1, false, unknown},
		{"redelivered after its mark", marker(command("once")), 2, false, unknown},
		{"repeat without a mark", repeat(command("once")), 1, false, unknown},
		{"repeat after its mark", repeat(marker(command("once"))), 1, false, unknown},
		{"repeat, and marks are lost", repeat(command("once")), 1, true, unknown},
		{"redelivered, and marks are lost", command("once"), 2, true, unknown},
		{"another tool, and marks are lost", repeat(command("plain")), 1, true, sunny},
	}
	var want int64
	for _, tt := range tests {
		h.answer.Store(&stepv1.ToolAnswer{Verdict: stepv1.ToolVerdict_TOOL_VERDICT_DUE, Uncertain: tt.uncertain})
		event, outcome := tt.want(tt.command), "failed"
		if event.GetToolCompleted() != nil {
			outcome = ""
			want++
		}
		h.handles(t, r, delivery(tt.command, tt.delivered), outcome)
		if diff := cmp.Diff(event, h.event(t), sameEvent); diff != "" {
			t.Errorf("%s: result differs (-want +got):\n%s", tt.name, diff)
		}
		h.wantCalls(t, want)
	}
}

// TestAtMostOnceCallNeedsRoomForItsMark holds that a call whose mark a full
// stream refuses is not made, and is tried again.
func TestAtMostOnceCallNeedsRoomForItsMark(t *testing.T) {
	t.Parallel()
	h := setUp(t, answer, func(c *bus.Config) { c.MaxBytes.Mark = 2 << 10 })
	r := h.runner(t)
	var full *stepv1.StepEvent
	made := int64(0)
	for full == nil && made < 100 {
		c := command("once")
		if err := r.handle(t.Context(), delivery(c, 1)); err == nil {
			made++
		}
		if e := h.event(t); e.GetToolFailed() != nil {
			full = e
		}
	}
	want := &stepv1.Failure{Code: "mark_refused", Message: markRefused.message, Retriable: true}
	if diff := cmp.Diff(want, full.GetToolFailed().GetFailure(), protocmp.Transform()); diff != "" {
		t.Errorf("failure differs (-want +got):\n%s", diff)
	}
	h.wantCalls(t, made)
	c := command("plain")
	h.handles(t, r, delivery(c, 1), "")
	h.wantEvent(t, sunny(c))
}

func unknown(c *stepv1.ToolCommand) *stepv1.StepEvent { return failure(c, unknownOutcome, 0) }

func TestPoison(t *testing.T) {
	t.Parallel()
	h := setUp(t, answer)
	c := command("plain")
	d := delivery(c, maxDeliveries+1)
	if err := h.runner(t).handle(t.Context(), d); !errors.Is(err, bus.ErrPoison) {
		t.Fatalf("handle = %v, want ErrPoison", err)
	}
	h.wantEvent(t, failure(c, givenUp, 0))
	h.wantCalls(t, 0)

	nc, err := nats.Connect("", nats.InProcessServer(h.broker))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	dead, err := js.Stream(t.Context(), "WINDLASS_DEAD")
	if err != nil {
		t.Fatal(err)
	}
	msg, err := dead.GetLastMsgForSubject(t.Context(), "windlass.dead."+c.GetIdentity().GetRequestId())
	if err != nil {
		t.Fatal(err)
	}
	var got stepv1.DeadLetter
	if err := proto.Unmarshal(msg.Data, &got); err != nil {
		t.Fatal(err)
	}
	want := &stepv1.DeadLetter{Identity: c.GetIdentity(), Tenant: "default", Subject: d.Subject, Failure: givenUp.proto()}
	if diff := cmp.Diff(want, &got, protocmp.Transform(), protocmp.IgnoreFields(want, "event_time")); diff != "" {
		t.Errorf("dead letter differs (-want +got):\n%s", diff)
	}
}

// TestTwoDeliveriesAtOnce holds that a message that comes back while its runner still has it is not called twice.
func TestTwoDeliveriesAtOnce(t *testing.T) {
	t.Parallel()
	began, release := make(chan struct{}, 2), make(chan struct{})
	h := setUp(t, func(w http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		<-release
		answer(w, r)
	})
	r := h.runner(t)
	c := command("plain")
	var wg sync.WaitGroup
	handle := func(n int) {
		var handled *bus.Handled
		if err := r.handle(t.Context(), delivery(c, n)); err != nil && !errors.As(err, &handled) {
			t.Errorf("handle delivery %d = %v, want nil", n, err)
		}
	}
	wg.Go(func() { handle(1) })
	<-began
	wg.Go(func() { handle(1) }) // not even known as a redelivery
	close(release)
	wg.Wait()
	h.wantEvent(t, sunny(c))
	h.wantNoEvent(t)
	h.wantCalls(t, 1)

	ctx, cancel := context.WithCancelCause(t.Context())
	_, leave, err := r.flights.enter(ctx, "s")
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	cancel(bus.ErrCancelled)
	if _, _, err := r.flights.enter(ctx, "s"); !errors.Is(err, bus.ErrCancelled) {
		t.Errorf("enter with an ended context = %v, want its cause", err)
	}
}

func TestTooLargeResult(t *testing.T) {
	t.Parallel()
	h := setUp(t, answer)
	c := command("plain")
	huge := completed(c, httptool.Output{Text: []byte(strings.Repeat("x", 2<<20))}, time.Second)
	if err := h.runner(t).publish(t.Context(), delivery(c, 1), huge); err != nil {
		t.Fatalf("publish = %v, want nil", err)
	}
	h.wantEvent(t, failure(c, outputTooLarge, time.Second))
}

func TestEndedContexts(t *testing.T) {
	t.Parallel()
	began := make(chan struct{}, 1)
	h := setUp(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the server notices a client that left only then
		began <- struct{}{}
		<-r.Context().Done()
	})
	r := h.runner(t)
	for _, cause := range []error{bus.ErrCancelled, bus.ErrDraining} {
		ctx, cancel := context.WithCancelCause(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.handle(ctx, delivery(command("plain"), 1)) }()
		<-began
		cancel(cause)
		if err := <-ended; !errors.Is(err, cause) {
			t.Errorf("handle of a call that was broken off = %v, want %v", err, cause)
		}
		h.wantNoEvent(t)

		c := command("plain")
		err := r.publish(ctx, delivery(c, 1), sunny(c))
		if errors.Is(cause, bus.ErrCancelled) {
			if !errors.Is(err, cause) {
				t.Errorf("publish for a cancelled request = %v, want ErrCancelled", err)
			}
			h.wantNoEvent(t)
			continue
		}
		if err != nil { // what is there at the end of the grace is still published
			t.Errorf("publish at the end of the grace = %v, want nil", err)
		}
		h.wantEvent(t, sunny(c))
	}
}
