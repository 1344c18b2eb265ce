package bus_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/consume"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

// unlink takes the files of a stream away, as a server does that ends the
// deletion of an earlier stream of that name late.
func (f *fixture) unlink(tb testing.TB, stream string) {
	tb.Helper()
	if _, err := os.Stat(filepath.Join(f.broker.Files(stream), "meta.inf")); err != nil {
		tb.Fatal(err)
	}
	f.restart(tb) // no file is open, so that the next message fails
	if err := os.RemoveAll(f.broker.Files(stream)); err != nil {
		tb.Fatal(err)
	}
}

// restart lets the server open its files again.
func (f *fixture) restart(tb testing.TB) {
	tb.Helper()
	f.broker.Stop()
	f.broker.Start()
	eventually(tb, "both connections are back", func() bool { return f.Ready(tb.Context()) == nil && f.nc.IsConnected() })
}

func (f *fixture) createdAt(tb testing.TB, stream string) time.Time {
	tb.Helper()
	s, err := f.js.Stream(tb.Context(), stream)
	if err != nil {
		tb.Fatalf("look at %s: %v", stream, err)
	}
	return s.CachedInfo().Created
}

// leavePosition lets the position of the lane's consumer be all that the
// directory of a stream without files has.
func (f *fixture) leavePosition(tb testing.TB) {
	tb.Helper()
	if err := f.js.DeleteConsumer(tb.Context(), "WINDLASS_TURN", "turn_m1"); err != nil {
		tb.Fatal(err)
	}
	if err := f.Ensure(tb.Context(), topology()); err != nil {
		tb.Fatal(err)
	}
}

// take publishes turns and lets them be done.
func (f *fixture) take(tb testing.TB, turns int) {
	tb.Helper()
	for n := range turns {
		f.publish(tb, turn(1+n))
	}
	stop := f.run(tb, consume.Config{Work: consume.TurnWork(lane), Handle: handle(func(consume.Delivery) {})})
	eventually(tb, "turns are acknowledged", func() bool { return f.queued(tb, "WINDLASS_TURN") == 0 })
	stop()
}

func TestAStreamThatLostItsFilesIsMadeAgain(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]struct{ before, after func(*fixture, *testing.T) }{
		"empty":         {},
		"with messages": {before: func(f *fixture, t *testing.T) { f.publish(t, turn(1), turn(2)) }},
		"with a position": {
			before: func(f *fixture, t *testing.T) { f.take(t, 2) },
			after:  func(f *fixture, t *testing.T) { f.leavePosition(t) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setUp(t)
			if prepare.before != nil {
				prepare.before(f, t)
			}
			made := f.createdAt(t, "WINDLASS_TURN")
			f.unlink(t, "WINDLASS_TURN")
			if prepare.after != nil {
				prepare.after(f, t)
			}
			f.publish(t, turn(3), tool(1))
			if got := f.queued(t, "WINDLASS_TURN"); got != 1 {
				t.Errorf("queued turns = %d, want only the last", got)
			}
			if f.createdAt(t, "WINDLASS_TURN").Equal(made) {
				t.Error("the stream is still the one without files")
			}
			got := make(chan consume.Delivery, 9)
			f.run(t, consume.Config{Work: consume.TurnWork(lane), Handle: handle(func(d consume.Delivery) { got <- d })})
			if d := receive(t, got, "delivery"); d.Turn.GetIdentity().GetRequestId() != requestID(3) || !d.Turn.GetRepeat() {
				t.Errorf("delivered %v, want the third turn, as a repeat", d.Turn)
			}
			f.restart(t)
			if got := f.queued(t, "WINDLASS_TOOL"); got != 1 {
				t.Errorf("queued tool calls after a restart = %d, want 1", got)
			}
		})
	}
}

func TestAConsumerDoesNotTakeOverThePositionOfALostStream(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.take(t, 2)
	f.unlink(t, "WINDLASS_TURN")
	f.leavePosition(t)
	f.restart(t) // the server takes a directory like that for no stream, and makes the next one in it
	f.publish(t, turn(3))
	got := make(chan consume.Delivery, 9)
	f.run(t, consume.Config{Work: consume.TurnWork(lane), Handle: handle(func(d consume.Delivery) { got <- d })})
	if d := receive(t, got, "delivery"); d.Turn.GetIdentity().GetRequestId() != requestID(3) {
		t.Errorf("delivered %v, want the third turn", d.Turn)
	}
}

func TestAStreamThatWouldComeBackIsKept(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.publish(t, turn(1))
	f.restart(t)
	made := f.createdAt(t, "WINDLASS_TURN")
	msgs := filepath.Join(f.broker.Files("WINDLASS_TURN"), "msgs")
	if err := os.Rename(msgs, msgs+".kept"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(msgs, nil, 0o600); err != nil { // what is opened below it is no directory, which may pass
		t.Fatal(err)
	}
	if _, err := f.Publish(t.Context(), turn(2)); !bus.Unavailable(err) {
		t.Errorf("Publish to a stream that cannot store = %v, want an error that may pass", err)
	}
	if !f.createdAt(t, "WINDLASS_TURN").Equal(made) {
		t.Error("the stream was made again, and its message is lost")
	}
	f.broker.Stop()
	if err := os.Remove(msgs); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(msgs+".kept", msgs); err != nil {
		t.Fatal(err)
	}
	f.broker.Start()
	eventually(t, "both connections are back", func() bool { return f.Ready(t.Context()) == nil && f.nc.IsConnected() })
	f.publish(t, turn(2).AsRepeat())
	if got := f.queued(t, "WINDLASS_TURN"); got != 2 {
		t.Errorf("queued turns = %d, want 2", got)
	}
}

func TestPublishFirstMendsButDoesNotRepeat(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.unlink(t, "WINDLASS_STEP")
	if first, err := f.PublishFirst(t.Context(), started(1)); first || !bus.Unavailable(err) {
		t.Errorf("PublishFirst into a stream without files = %t, %v; want false and an error that may pass", first, err)
	}
	if first, err := f.PublishFirst(t.Context(), started(1)); !first || err != nil {
		t.Errorf("PublishFirst into the stream made again = %t, %v; want true, nil", first, err)
	}
}

func TestALiveWriterGoesOnInAStreamMadeAgain(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.unlink(t, "WINDLASS_LIVE")
	w := liveWriter(t, f)
	w.Write(&stepv1.LiveFrame{Type: "one"})
	if err := w.Flush(t.Context()); err != nil {
		t.Errorf("Flush = %v, want nil", err)
	}
}

// A stream with many consumers takes long to delete: the pullers of the first
// ones find it missing before its files are gone.
func TestAStreamIsNotMadeAgainIntoItsDeletion(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	lanes := []bus.Lane{{Name: lane, Concurrency: 1}}
	for n := range 100 {
		lanes = append(lanes, bus.Lane{Name: fmt.Sprintf("other%d", n), Concurrency: 1})
	}
	if err := f.Ensure(t.Context(), bus.Topology{Lanes: lanes}); err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 9)
	h := handle(func(d consume.Delivery) { got <- d.Turn.GetIdentity().GetRequestId() })
	for _, l := range lanes[:9] {
		f.run(t, consume.Config{Work: consume.TurnWork(l.Name), Slots: 1, Handle: h})
	}
	f.publish(t, turn(1))
	receive(t, got, "delivery before")
	if err := f.js.DeleteStream(t.Context(), "WINDLASS_TURN"); err != nil {
		t.Fatal(err)
	}
	f.insist(t, turn(2))
	receive(t, got, "delivery after")
	if _, err := os.Stat(filepath.Join(f.broker.Files("WINDLASS_TURN"), "meta.inf")); err != nil {
		t.Errorf("files of the stream made again: %v", err)
	}
}
