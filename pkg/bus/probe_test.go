package bus_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"windlass.dev/windlass/pkg/bus"
)

// block makes every write to a stream fail, also after unblock: the server
// keeps the error, as it keeps that of a full disk.
func (f *fixture) block(tb testing.TB, stream string) (unblock func()) {
	tb.Helper()
	f.restart(tb) // no file is open, so that the next message fails
	msgs := filepath.Join(f.broker.Files(stream), "msgs")
	if err := os.Rename(msgs, msgs+".kept"); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(msgs, nil, 0o600); err != nil {
		tb.Fatal(err)
	}
	return func() {
		if err := os.Remove(msgs); err != nil && !os.IsNotExist(err) {
			tb.Fatal(err)
		}
	}
}

// watch runs WatchStreams until the test ends.
func (f *fixture) watch(tb testing.TB) (lost <-chan string) {
	tb.Helper()
	found := make(chan string, 99)
	ctx, cancel := context.WithCancel(tb.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.WatchStreams(ctx, func(stream string) { found <- stream }) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			tb.Errorf("WatchStreams = %v, want nil", err)
		}
	})
	return found
}

// TestF36AStreamThatCannotBeWrittenIsMadeAgain holds that readiness says so,
// that the stream is kept while the disk takes nothing, that it is created
// again when the disk does, and that no other stream is.
func TestF36AStreamThatCannotBeWrittenIsMadeAgain(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.publish(t, turn(1), tool(1))
	unblock := f.block(t, "WINDLASS_TURN")
	made, other := f.createdAt(t, "WINDLASS_TURN"), f.createdAt(t, "WINDLASS_TOOL")
	// What the disk takes cannot be tried while another stream has the subject.
	if _, err := f.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"windlass.probe"}}); err != nil {
		t.Fatal(err)
	}
	lost := f.watch(t)
	if _, err := f.Publish(t.Context(), turn(2)); !bus.Unavailable(err) {
		t.Fatalf("Publish to a stream that cannot be written = %v, want an error that may pass", err)
	}
	if err := f.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "WINDLASS_TURN") {
		t.Errorf("Ready behind a publish without an answer = %v, want an error that names the stream", err)
	}
	eventually(t, "Ready says that the stream cannot be written", func() bool {
		err := f.Ready(t.Context())
		var shown interface{ Public() string } // by /readyz
		return errors.As(err, &shown) && strings.Contains(shown.Public(), "cannot write WINDLASS_TURN (not a directory)")
	})
	unblock()
	if _, err := f.Publish(t.Context(), turn(2).AsRepeat()); !bus.Unavailable(err) {
		t.Errorf("Publish while the disk takes nothing = %v, want an error that may pass", err)
	}
	if !f.createdAt(t, "WINDLASS_TURN").Equal(made) {
		t.Error("the stream was created again while the disk takes nothing")
	}
	if err := f.js.DeleteStream(t.Context(), "OTHER"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the stream takes messages", func() bool {
		_, err := f.Publish(t.Context(), turn(2).AsRepeat())
		return err == nil
	})
	if got := receive(t, lost, "loss"); got != "WINDLASS_TURN" {
		t.Errorf("lost = %s, want WINDLASS_TURN", got)
	}
	eventually(t, "Ready is nil", func() bool { return f.Ready(t.Context()) == nil })
	if !f.createdAt(t, "WINDLASS_TOOL").Equal(other) {
		t.Error("a stream that works was created again")
	}
	if got := f.queued(t, "WINDLASS_TURN"); got != 1 {
		t.Errorf("queued turns = %d, want 1", got)
	}
}
