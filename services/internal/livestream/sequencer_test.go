package livestream

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/responses/event"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

func textFrame(text string) *stepv1.LiveFrame {
	return &stepv1.LiveFrame{Type: "t", Data: []byte(text)}
}

func keyed(key, text string) *stepv1.LiveFrame {
	return &stepv1.LiveFrame{Type: "t", Data: []byte(text), Key: key}
}

func part(text string) *stepv1.LiveFrame {
	return &stepv1.LiveFrame{Type: "t", Data: []byte(text), More: true}
}

var (
	begin    = Snapshot(event.Event{Type: "t", Data: []byte("B")})
	complete = Mark(stepv1.LiveKind_LIVE_KIND_COMPLETE)
	lastOne  = Mark(stepv1.LiveKind_LIVE_KIND_LAST)
)

// by is a message of a turn's attempt.
func by(turn, attempt, number uint32, frames ...*stepv1.LiveFrame) *stepv1.LiveFrames {
	return &stepv1.LiveFrames{Epoch: 1, Turn: turn, Attempt: attempt, Number: number, Frames: frames}
}

func TestSequencer(t *testing.T) {
	t.Parallel()
	type stream = []*stepv1.LiveFrames
	tests := []struct {
		name         string
		in           stream
		want         string // the events' data, in order
		lost         bool
		ended, whole bool
	}{
		{"nothing", nil, "", false, false, false},
		{"only an end", stream{by(1, Settled, 0, lastOne)}, "", false, true, false},
		{"one turn", stream{by(1, 1, 1, begin, textFrame("a")), by(1, 1, 2, textFrame("b"), complete), by(1, Settled, 0, lastOne)}, "B a b", false, true, true},
		{"an end that says that events are missing", stream{by(1, 1, 1, begin, complete), by(1, Settled, 0, Last(false))}, "B", false, true, false},
		{"an end of a whole stream", stream{by(1, 1, 1, begin, complete), by(1, Settled, 0, Last(true))}, "B", false, true, true},
		{"a turn that broke off", stream{by(1, 1, 1, begin, textFrame("a")), by(1, Settled, 0, lastOne)}, "B a", false, true, false},
		{
			"two turns",
			stream{by(1, 1, 1, begin, complete), by(1, Settled, 0, keyed("k", "p")), by(2, 1, 1, keyed("k", "p"), textFrame("c"), complete)},
			"B p c", false, false, true,
		},
		{"an attempt that was taken over", stream{by(1, 1, 1, begin, textFrame("a")), by(1, 2, 1, begin, textFrame("b")), by(1, 1, 2, textFrame("late"))}, "B a B b", false, false, false},
		{
			"an attempt that was complete and never committed",
			stream{by(1, 1, 1, begin, complete), by(2, 1, 1, textFrame("a"), complete), by(2, 2, 1, keyed("k", "p"), begin, textFrame("b"))},
			"B a p B b", false, false, false,
		},
		{"a message stored twice", stream{by(1, 1, 1, begin), by(1, 1, 2, textFrame("a")), by(1, 1, 2, textFrame("a")), by(1, 1, 3, textFrame("b"))}, "B a b", false, false, false},
		{"an event in parts", stream{by(1, 1, 1, begin, part("x")), by(1, 1, 2, part("y"), textFrame("z"))}, "B xyz", false, false, false},
		{"parts that are taken over", stream{by(1, 1, 1, begin, part("x")), by(1, 2, 1, begin, textFrame("z"))}, "B B z", false, false, false},
		{
			"a key seen before, in parts",
			stream{by(1, 1, 1, begin, keyed("k", "a")), by(1, 1, 2, &stepv1.LiveFrame{Type: "t", Key: "k", More: true, Data: []byte("b")}, keyed("k", "c"), textFrame("d"))},
			"B a d", false, false, false,
		},
		{"what is behind the end", stream{by(1, 1, 1, begin, lastOne, textFrame("a")), by(1, 2, 1, begin)}, "B", false, true, false},

		{"no beginning", stream{by(1, 1, 1, textFrame("a"))}, "", true, false, false},
		{"a beginning in a later turn", stream{by(2, 2, 1, begin)}, "", true, false, false},
		{"a first message that is missing", stream{by(1, 1, 2, begin)}, "", true, false, false},
		{"a message in the middle that is missing", stream{by(1, 1, 1, begin), by(1, 1, 3, textFrame("a"))}, "B", true, false, false},
		{"the end of a turn that is missing", stream{by(1, 1, 1, begin), by(2, 1, 1, textFrame("a"))}, "B", true, false, false},
		{"a whole turn that is missing", stream{by(1, 1, 1, begin, complete), by(2, Settled, 0, keyed("k", "p"))}, "B p", false, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var s Sequencer
			var got []string
			var err error
			for _, m := range tt.in {
				var events []event.Event
				if events, err = s.Take(m); err != nil {
					break
				}
				for _, e := range events {
					got = append(got, string(e.Data))
				}
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if errors.Is(err, ErrLost) != tt.lost || s.Ended() != tt.ended || s.Whole() != tt.whole {
				t.Errorf("error %v, ended %t, whole %t; want lost %t, %t, %t", err, s.Ended(), s.Whole(), tt.lost, tt.ended, tt.whole)
			}
		})
	}
}

func TestNumbersThatBeginAgain(t *testing.T) {
	t.Parallel()
	again := by(1, 2, 1, begin)
	again.Restarted = true
	var late, early Sequencer
	if _, err := late.Take(again); err != nil || !late.Restarted() {
		t.Errorf("a reader who comes behind the loss: %v, restarted %t; want nil, true", err, late.Restarted())
	}
	if _, err := early.Take(by(1, 1, 1, begin)); err != nil || early.Restarted() {
		t.Fatalf("the first attempt: %v, restarted %t", err, early.Restarted())
	}
	for range 2 {
		if _, err := early.Take(again); !errors.Is(err, ErrLost) {
			t.Errorf("a reader of both numberings: %v, want ErrLost", err)
		}
	}
}

func TestWhatIsSaidOnceCannotBeginAgain(t *testing.T) {
	t.Parallel()
	s := Sequencer{Once: true}
	if _, err := s.Take(by(1, 1, 1, begin)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Take(by(1, 2, 1, begin)); !errors.Is(err, ErrLost) {
		t.Errorf("a second beginning is %v, want ErrLost", err)
	}
}

func TestArchive(t *testing.T) {
	t.Parallel()
	want := []event.Event{{Type: "a", Data: []byte(`"x":1`)}, {Data: []byte(`{}`)}, {Type: "b", Data: []byte(strings.Repeat("long ", 200_000))}}
	a := NewArchive()
	for _, e := range want {
		if err := a.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := a.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	var got []event.Event
	if err := Read(kept, func(e event.Event) error { got = append(got, e); return nil }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	marked := MarkRestarted(kept)
	if IsRestarted(kept) || !IsRestarted(marked) {
		t.Error("the mark of an archive that was restarted is not read back")
	}
	read := 0
	if err := Read(marked, func(event.Event) error { read++; return nil }); err != nil || read != len(want) {
		t.Errorf("%d events are read of a marked archive, %v; want %d", read, err, len(want))
	}
	if err := Read(kept[:len(kept)/2], func(event.Event) error { return nil }); err == nil {
		t.Error("half an archive was read without an error")
	}
}
