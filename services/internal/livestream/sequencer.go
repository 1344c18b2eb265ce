// Package livestream turns the frames of a live stream into the events of a
// response: which frames count, and in which order. Every reader uses it, so
// that all number the events alike.
//
// It promises that two readers of the same frames see the same events, that a
// reader detects missing frames (TestSequencer), and that it detects that the
// numbers of the events have begun again, so that positions of before mean
// nothing (TestNumbersThatBeginAgain). It does not promise that frames are
// never lost: the request goes on without them.
package livestream

import (
	"errors"

	"windlass.dev/windlass/pkg/responses/event"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

// ErrLost says that frames are missing.
var ErrLost = errors.New("frames of the live stream are missing")

// Sequencer reads the messages of one stream in their order. The zero Sequencer
// is at the start. It is not safe for concurrent use.
type Sequencer struct {
	// Once says that events cannot be replaced, so that a second snapshot is an
	// error like a missing frame.
	Once bool

	writer    [3]uint32 // epoch, turn, attempt of the newest writer
	number    uint32    // of its last message
	begun     bool
	restarted bool   // it began with a repeated attempt that found nothing before it
	complete  bool   // all events of the turn's model call were read
	whole     uint32 // the last turn that was complete
	ended     bool
	keys      map[string]bool
	part      []byte // of an event whose rest follows
}

// Ended reports whether the last frame was read.
func (s *Sequencer) Ended() bool { return s.ended }

// HasBegun reports whether a frame that counts was read.
func (s *Sequencer) HasBegun() bool { return s.begun }

// Restarted reports whether earlier frames of the stream were lost as a whole:
// events may have been sent to clients under the numbers of these.
func (s *Sequencer) Restarted() bool { return s.restarted }

// Whole reports whether the stream holds every event of a completed request.
func (s *Sequencer) Whole() bool { return s.begun && s.complete }

// WholeTurns returns the last turn whose events were all read.
func (s *Sequencer) WholeTurns() int { return int(s.whole) }

// Take returns the events of a message that count, or ErrLost if frames before
// it are missing.
func (s *Sequencer) Take(m *stepv1.LiveFrames) ([]event.Event, error) {
	writer := [3]uint32{m.GetEpoch(), m.GetTurn(), m.GetAttempt()}
	if s.ended || older(writer, s.writer) {
		return nil, nil
	}
	last := len(m.GetFrames()) > 0 && m.GetFrames()[0].GetKind() == stepv1.LiveKind_LIVE_KIND_LAST
	if writer != s.writer && !last {
		if err := s.change(writer, m); err != nil {
			return nil, err
		}
	}
	if n := m.GetNumber(); n > 0 {
		if n <= s.number { // stored twice
			return nil, nil
		}
		if n != s.number+1 {
			return nil, ErrLost
		}
		s.number = n
	}
	return s.frames(m.GetFrames()), nil
}

// change switches to a newer writer.
func (s *Sequencer) change(writer [3]uint32, m *stepv1.LiveFrames) error {
	begins := len(m.GetFrames()) > 0 && m.GetFrames()[0].GetKind() == stepv1.LiveKind_LIVE_KIND_BEGIN
	nextTurn := writer[1] != s.writer[1]
	if s.Once && s.begun || !s.begun && !begins || nextTurn && s.begun && !s.complete {
		return ErrLost
	}
	if !s.begun && writer[1] != 1 || s.begun && m.GetRestarted() {
		return ErrLost
	}
	if !s.begun {
		s.begun, s.restarted = true, m.GetRestarted()
	}
	if nextTurn || writer[2] != Settled { // a writer for a settled turn adds nothing to its model call
		s.complete = false
	}
	s.writer, s.number, s.part = writer, 0, nil
	return nil
}

func (s *Sequencer) frames(all []*stepv1.LiveFrame) []event.Event {
	var events []event.Event
	for _, f := range all {
		switch f.GetKind() {
		case stepv1.LiveKind_LIVE_KIND_LAST:
			s.ended = true
			s.complete = s.complete && f.GetKey() != lostKey
			return events
		case stepv1.LiveKind_LIVE_KIND_COMPLETE:
			s.complete, s.whole = true, s.writer[1]
			continue
		}
		if key := f.GetKey(); key != "" && !f.GetMore() {
			if s.keys[key] {
				s.part = nil
				continue
			}
			if s.keys == nil {
				s.keys = map[string]bool{}
			}
			s.keys[key] = true
		}
		data := f.GetData()
		if f.GetMore() {
			s.part = append(s.part, data...)
			continue
		}
		if s.part != nil {
			data, s.part = append(s.part, data...), nil
		}
		events = append(events, event.Event{Type: f.GetType(), Data: data})
	}
	return events
}

func older(a, b [3]uint32) bool {
	for i := range a {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}
