package command

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/consume"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/tool-runner/internal/runnertest"
)

func TestAtMostOnce(t *testing.T) {
	t.Parallel()
	h := runnertest.New(t, runnertest.Answer)
	r := newHandler(t, h)
	marker := func(c *stepv1.ToolCommand) *stepv1.ToolCommand { // as a runner that died in its call leaves it
		e := newEvent(c)
		e.Event = &stepv1.StepEvent_ToolStarted{ToolStarted: &stepv1.ToolStarted{}}
		if first, err := h.Begin(t.Context(), runnertest.Pool, e, ""); err != nil || !first {
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
		{"first", runnertest.Command("once"), 1, false, runnertest.Sunny},
		{"handed back before its mark", runnertest.Command("once"), 2, false, runnertest.Sunny},
		{"marked by another", marker(runnertest.Command("once")), 1, false, unknown},
		{"redelivered after its mark", marker(runnertest.Command("once")), 2, false, unknown},
		{"repeat without a mark", repeat(runnertest.Command("once")), 1, false, unknown},
		{"repeat after its mark", repeat(marker(runnertest.Command("once"))), 1, false, unknown},
		{"repeat, and marks are lost", repeat(runnertest.Command("once")), 1, true, unknown},
		{"redelivered, and marks are lost", runnertest.Command("once"), 2, true, unknown},
		{"another tool, and marks are lost", repeat(runnertest.Command("plain")), 1, true, runnertest.Sunny},
	}
	var want int64
	for _, tt := range tests {
		h.FixedAnswer.Store(&stepv1.ToolAnswer{Verdict: stepv1.ToolVerdict_TOOL_VERDICT_DUE, Uncertain: tt.uncertain})
		event, outcome := tt.want(tt.command), "failed"
		if event.GetToolCompleted() != nil {
			outcome = ""
			want++
		}
		handle(t, r, runnertest.Delivery(tt.command, tt.delivered), outcome)
		if diff := cmp.Diff(event, h.NextEvent(t), runnertest.SameEvent); diff != "" {
			t.Errorf("%s: result differs (-want +got):\n%s", tt.name, diff)
		}
		h.WantCalls(t, want)
	}
}

// TestAtMostOnceCallNeedsRoomForItsMark holds that a call whose mark a full
// stream refuses is not made, and can be tried again.
func TestAtMostOnceCallNeedsRoomForItsMark(t *testing.T) {
	t.Parallel()
	h := runnertest.New(t, runnertest.Answer, func(c *bus.Config) { c.MaxBytes.Mark = 2 << 10 })
	r := newHandler(t, h)
	var full *stepv1.StepEvent
	made := int64(0)
	for full == nil && made < 100 {
		c := runnertest.Command("once")
		if err := r.Handle(t.Context(), runnertest.Delivery(c, 1)); err == nil {
			made++
		}
		if e := h.NextEvent(t); e.GetToolFailed() != nil {
			full = e
		}
	}
	want := &stepv1.Failure{Code: "mark_refused", Message: markRefused.Message, Retriable: true}
	if diff := cmp.Diff(want, full.GetToolFailed().GetFailure(), protocmp.Transform()); diff != "" {
		t.Errorf("failure differs (-want +got):\n%s", diff)
	}
	h.WantCalls(t, made)
	c := runnertest.Command("plain")
	handle(t, r, runnertest.Delivery(c, 1), "")
	h.WantEvent(t, runnertest.Sunny(c))
}

func unknown(c *stepv1.ToolCommand) *stepv1.StepEvent { return failedEvent(c, unknownOutcome, 0) }

func TestPoison(t *testing.T) {
	t.Parallel()
	h := runnertest.New(t, runnertest.Answer)
	c := runnertest.Command("plain")
	d := runnertest.Delivery(c, maxDeliveries+1)
	if err := newHandler(t, h).Handle(t.Context(), d); !errors.Is(err, consume.ErrPoison) {
		t.Fatalf("Handle = %v, want ErrPoison", err)
	}
	h.WantEvent(t, failedEvent(c, givenUp, 0))
	h.WantCalls(t, 0)

	nc, err := nats.Connect("", nats.InProcessServer(h.Broker))
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
	want := &stepv1.DeadLetter{Identity: c.GetIdentity(), Tenant: "default", Subject: d.Subject, Failure: bus.EncodeFailure(givenUp)}
	if diff := cmp.Diff(want, &got, protocmp.Transform(), protocmp.IgnoreFields(want, "event_time")); diff != "" {
		t.Errorf("dead letter differs (-want +got):\n%s", diff)
	}
}
