package bus_test

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/bus/live"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

const liveID = "0123456789abcdef0123456789abcdef"

func liveWriter(tb testing.TB, f *fixture) *live.Writer {
	tb.Helper()
	w := f.OpenLive(tb.Context(), &stepv1.StepIdentity{RequestId: liveID, Epoch: 1, Turn: 1, Attempt: 1})
	tb.Cleanup(w.Close)
	return w
}

func liveFrame(n int) *stepv1.LiveFrame {
	return &stepv1.LiveFrame{Type: "t", Data: []byte(strconv.Itoa(n))}
}

// writeFrames writes the frames from..to-1, each in a message of its own.
func writeFrames(tb testing.TB, w *live.Writer, from, to int) {
	tb.Helper()
	for n := from; n < to; n++ {
		w.Write(liveFrame(n))
		if err := w.Flush(tb.Context()); err != nil {
			tb.Fatalf("flush frame %d: %v", n, err)
		}
	}
}

// readFrames reads frames until there are n, and wants them in order from first
// on.
func readFrames(tb testing.TB, r *live.Reader, first, n int) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	for got := first; got < first+n; {
		m, err := r.Next(ctx)
		if err != nil {
			tb.Fatalf("read frame %d: %v", got, err)
		}
		for _, f := range m.GetFrames() {
			if string(f.GetData()) != strconv.Itoa(got) {
				tb.Fatalf("frame is %s, want %d", f.GetData(), got)
			}
			got++
		}
	}
}

func reader(tb testing.TB, f *fixture) *live.Reader {
	tb.Helper()
	r, err := f.ReadLive(liveID)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(r.Close)
	return r
}

// More frames than a read of the stream or the tail holds.
const manyFrames = 300

func TestAReaderWhoComesLateGetsEverything(t *testing.T) {
	t.Parallel()
	for name, look := range map[string]bool{"and looks": true, "and hears it from the tail": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setUp(t)
			w := liveWriter(t, f)
			writeFrames(t, w, 0, manyFrames)
			r := reader(t, f)
			if look {
				if err := r.Backfill(t.Context()); err != nil {
					t.Fatal(err)
				}
				readFrames(t, r, 0, manyFrames)
			}
			writeFrames(t, w, manyFrames, manyFrames+1)
			if look {
				readFrames(t, r, manyFrames, 1)
			} else {
				readFrames(t, r, 0, manyFrames+1)
			}
		})
	}
}

func TestAReaderWhoDoesNotReadLosesNothing(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	w, r := liveWriter(t, f), reader(t, f)
	writeFrames(t, w, 0, manyFrames) // more than the tail keeps
	writeFrames(t, w, manyFrames, manyFrames+1)
	if err := r.Backfill(t.Context()); err != nil { // as after a silence: the last of the tail were dropped
		t.Fatal(err)
	}
	readFrames(t, r, 0, manyFrames+1)
}

func TestABurstGoesInFewMessagesAndALargeFrameInSeveral(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	w := liveWriter(t, f)
	large := bytes.Repeat([]byte("x"), 1_500_000)
	w.Write(&stepv1.LiveFrame{Type: "large", Data: large})
	for n := range 2000 {
		w.Write(liveFrame(n))
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	messages, frames, data := 0, 0, []byte(nil)
	if _, err := f.Stored(t.Context(), liveID, func(m *stepv1.LiveFrames) error {
		if messages++; m.GetNumber() != uint32(messages) {
			t.Errorf("message %d has the number %d", messages, m.GetNumber())
		}
		for _, frame := range m.GetFrames() {
			if frame.GetType() == "large" {
				if data = append(data, frame.GetData()...); frame.GetMore() == (len(data) == len(large)) {
					t.Errorf("a part that ends at %d of %d bytes says that more follows: %t", len(data), len(large), frame.GetMore())
				}
				continue
			}
			frames++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, large) || frames != 2000 || messages > 20 {
		t.Errorf("%d bytes and %d frames came in %d messages, want %d and 2000 in at most 20", len(data), frames, messages, len(large))
	}
}

// An answer of several MB is written four times at once, which is more than a
// writer holds.
func TestMoreThanAWriterHoldsIsNotLost(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	w := liveWriter(t, f)
	const frame, frames = 5 << 20, 5
	for range frames {
		w.Write(&stepv1.LiveFrame{Type: "large", Data: bytes.Repeat([]byte("x"), frame)})
	}
	w.Write(&stepv1.LiveFrame{Type: "larger than all that is held", Data: bytes.Repeat([]byte("x"), 2*frame)})
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	stored := 0
	if _, err := f.Stored(t.Context(), liveID, func(m *stepv1.LiveFrames) error {
		for _, frame := range m.GetFrames() {
			stored += len(frame.GetData())
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := (frames + 2) * frame; stored != want {
		t.Errorf("%d bytes are stored, want %d", stored, want)
	}
}

func TestAStreamMadeAnewIsLost(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	w, r := liveWriter(t, f), reader(t, f)
	writeFrames(t, w, 0, 5)
	readFrames(t, r, 0, 5)
	if err := f.js.DeleteStream(t.Context(), "WINDLASS_LIVE"); err != nil {
		t.Fatal(err)
	}
	w.Write(liveFrame(5)) // repairs the stream
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if m, err := r.Next(ctx); !errors.Is(err, live.ErrLost) {
		t.Errorf("the next message is %v, %v, want ErrLiveLost", m, err)
	}
}

func TestAWriterWithoutABusLosesItsStreamAndGoesOn(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	w := liveWriter(t, f)
	writeFrames(t, w, 0, 1)
	f.broker.Stop()
	began := time.Now()
	for range 4 { // more than is held: Write waits, and then gives up too
		w.Write(&stepv1.LiveFrame{Type: "large", Data: make([]byte, 5<<20)})
	}
	if err := w.Flush(t.Context()); !errors.Is(err, live.ErrLost) {
		t.Errorf("flush without a bus: %v, want ErrLiveLost", err)
	}
	if took := time.Since(began); took > 3*recovery {
		t.Errorf("it took %v to give up", took)
	}
	f.broker.Start()
}

func TestAStreamEndsOnceBehindEverything(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	w := liveWriter(t, f)
	end := &stepv1.LiveFrames{RequestId: liveID, Epoch: 1, Frames: []*stepv1.LiveFrame{{Kind: stepv1.LiveKind_LIVE_KIND_LAST}}}
	nothing := func(*stepv1.LiveFrames) error { return nil }
	writeFrames(t, w, 0, 2)
	last, err := f.Stored(t.Context(), liveID, nothing)
	if err != nil {
		t.Fatal(err)
	}
	writeFrames(t, w, 2, 3)
	if ended, err := f.EndLive(t.Context(), end, last); ended || err != nil {
		t.Errorf("ended before the last frame: %t, %v", ended, err)
	}
	if last, err = f.Stored(t.Context(), liveID, nothing); err != nil {
		t.Fatal(err)
	}
	if ended, err := f.EndLive(t.Context(), end, last); !ended || err != nil {
		t.Errorf("not ended behind the last frame: %t, %v", ended, err)
	}
	if ended, err := f.EndLive(t.Context(), end, last); ended || err != nil {
		t.Errorf("ended twice: %t, %v", ended, err)
	}
	if err := f.PurgeLive(t.Context(), liveID); err != nil {
		t.Fatal(err)
	}
	if last, err = f.Stored(t.Context(), liveID, nothing); last != 0 || err != nil {
		t.Errorf("after the purge the last sequence is %d, %v", last, err)
	}
}
