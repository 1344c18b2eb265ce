package bus_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/bus/message"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

func TestPublishCountsQueuedCommandsAsRefused(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.publish(t, turn(1), tool(1))
	refused, err := f.Publish(t.Context(), turn(1), turn(2), tool(1), tool(2))
	if refused != 2 || err != nil {
		t.Errorf("Publish of two queued and two new = %d, %v; want 2, nil", refused, err)
	}
	if got := [2]int{f.queued(t, "WINDLASS_TURN"), f.queued(t, "WINDLASS_TOOL")}; got != [2]int{2, 2} {
		t.Errorf("queued turns and tools = %v, want 2 and 2", got)
	}
}

func TestPublishTooLarge(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	big := message.Event(&stepv1.StepEvent{Identity: identity(1), Tenant: "acme", Event: &stepv1.StepEvent_ToolCompleted{
		ToolCompleted: &stepv1.ToolCompleted{Output: bytes.Repeat([]byte("x"), 2<<20)},
	}})
	if _, err := f.Publish(t.Context(), big, completed(2)); !errors.Is(err, bus.ErrTooLarge) {
		t.Errorf("Publish of 2 MiB = %v, want ErrTooLarge", err)
	}
	if got := f.queued(t, "WINDLASS_STEP"); got != 1 {
		t.Errorf("stored events = %d, want the other one", got)
	}
}

func TestPublishRefusesAnEventThatSaysNothing(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	if _, err := f.Publish(t.Context(), message.Event(&stepv1.StepEvent{Identity: identity(1)})); err == nil {
		t.Error("Publish of an empty event = nil, want an error")
	}
}

func TestPublishMakesAMissingStreamAgain(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	if err := f.js.DeleteStream(t.Context(), "WINDLASS_TURN"); err != nil {
		t.Fatal(err)
	}
	f.publish(t, turn(1), tool(1))
	if got := f.queued(t, "WINDLASS_TURN"); got != 1 {
		t.Errorf("queued turns = %d, want 1", got)
	}
	if _, err := f.js.Consumer(t.Context(), "WINDLASS_TURN", "turn_m1"); err != nil {
		t.Errorf("consumer of the stream made again: %v", err)
	}
}

func TestPublishFailsWhileTheServerIsAway(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.broker.Stop()
	if _, err := f.Publish(t.Context(), turn(1)); err == nil {
		t.Error("Publish to a stopped server = nil, want an error")
	}
	if err := f.Ready(t.Context()); err == nil {
		t.Error("Ready on a stopped server = nil, want an error")
	}
	f.broker.Start()
	eventually(t, "bus is ready again", func() bool { return f.Ready(t.Context()) == nil })
	f.publish(t, turn(1))
}

func TestHeadersSayWhatTheMessageIs(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.publish(t, tool(7).WithTrace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
	s, err := f.js.Stream(t.Context(), "WINDLASS_TOOL")
	if err != nil {
		t.Fatal(err)
	}
	msg, err := s.GetLastMsgForSubject(t.Context(), "windlass.tool.>")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"Content-Type":     {"application/protobuf"},
		"Windlass-Type":    {"windlass.step.v1.ToolCommand"},
		"Windlass-Epoch":   {"1"},
		"Windlass-Attempt": {"1"},
		"traceparent":      {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
	}
	got := map[string][]string(msg.Header)
	for name := range got {
		if strings.HasPrefix(name, "Nats-") {
			delete(got, name) // the server's own
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if want := "windlass.tool.default.search." + requestID(7) + ".1-1-1-1"; msg.Subject != want {
		t.Errorf("subject = %q, want %q", msg.Subject, want)
	}
}

func TestPublishFirstIsTrueOnce(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	for i, want := range []bool{true, false, false} {
		if got, err := f.PublishFirst(t.Context(), started(1)); got != want || err != nil {
			t.Errorf("PublishFirst, call %d = %t, %v; want %t, nil", i+1, got, err, want)
		}
	}
}

func TestAnnounceIsStored(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.Announce(completed(1), completed(2))
	eventually(t, "both events are stored", func() bool { return f.queued(t, "WINDLASS_STEP") == 2 })
}

func TestAsRepeatMarksCommandsAndLeavesTheOriginal(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	c := &stepv1.TurnCommand{Identity: identity(1), Lane: lane}
	f.publish(t, message.Turn(c).AsRepeat())
	if c.GetRepeat() {
		t.Error("AsRepeat changed the command it was given")
	}
	seen := make(chan bool, 1)
	f.run(t, consume.Config{Work: consume.TurnWork(lane), Handle: handle(func(d consume.Delivery) { seen <- d.Turn.GetRepeat() })})
	if !receive(t, seen, "turn") {
		t.Error("repeat of the delivered turn = false, want true")
	}
}

func TestPurgeTakesOneRequestsCommands(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.publish(t, turn(1), turn(2), tool(1), tool(2), completed(1))
	if err := f.Purge(t.Context(), requestID(1)); err != nil {
		t.Fatalf("Purge: %v", err)
	}
	got := [3]int{f.queued(t, "WINDLASS_TURN"), f.queued(t, "WINDLASS_TOOL"), f.queued(t, "WINDLASS_STEP")}
	if got != [3]int{1, 1, 1} {
		t.Errorf("left of turns, tools, events = %v, want 1 each", got)
	}
	refused, err := f.Publish(t.Context(), turn(1))
	if refused != 0 || err != nil {
		t.Errorf("Publish after the purge = %d, %v; want it accepted", refused, err)
	}
}

func TestEraseTakesEverythingOfOneRequest(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.publish(t, turn(1), turn(2), tool(1), tool(2), completed(1), completed(2))
	if err := f.Erase(t.Context(), requestID(1)); err != nil {
		t.Fatalf("Erase: %v", err)
	}
	got := [3]int{f.queued(t, "WINDLASS_TURN"), f.queued(t, "WINDLASS_TOOL"), f.queued(t, "WINDLASS_STEP")}
	if got != [3]int{1, 1, 1} {
		t.Errorf("left of turns, tools, events = %v, want the other request's 1 each", got)
	}
}

func TestStreamsKeepWhatIsPromised(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	for _, name := range []string{"TURN", "TOOL", "FINAL", "STEP", "MARK", "LIVE", "DEAD"} {
		s, err := f.js.Stream(t.Context(), "WINDLASS_"+name)
		if err != nil {
			t.Fatalf("stream %s: %v", name, err)
		}
		c := s.CachedInfo().Config
		if c.MaxBytes != 64<<20 {
			t.Errorf("%s: limit is %d bytes, want the configured one", name, c.MaxBytes)
		}
		if !c.AllowDirect || c.Description == "" || c.Metadata["windlass.dev/managed-by"] == "" {
			t.Errorf("%s: direct %t, description %q, metadata %v; want all", name, c.AllowDirect, c.Description, c.Metadata)
		}
		queue := name == "TURN" || name == "TOOL" || name == "FINAL"
		isQueue := c.Retention == jetstream.WorkQueuePolicy && c.MaxMsgsPerSubject == 1 && c.DiscardNewPerSubject && c.MaxAge == 0
		if queue != isQueue {
			t.Errorf("%s: work queue with per-subject refusal and no age limit is %t, want %t: %+v", name, isQueue, queue, c)
		}
	}
}
