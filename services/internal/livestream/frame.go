package livestream

import (
	"math"

	"windlass.dev/windlass/pkg/responses/event"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/transcript"
)

// Settled is the attempt of writers for a turn whose model call is committed.
// It is newer than any attempt that may still run.
const Settled = math.MaxUint32

// Frame is the frame of an event. key is empty, or names an event that may be
// written more than once.
func Frame(e event.Event, key string) *stepv1.LiveFrame {
	return &stepv1.LiveFrame{Type: e.Type, Data: e.Data, Key: key}
}

// Snapshot is the frame of an event that repeats everything before it.
func Snapshot(e event.Event) *stepv1.LiveFrame {
	return &stepv1.LiveFrame{Type: e.Type, Data: e.Data, Kind: stepv1.LiveKind_LIVE_KIND_BEGIN}
}

// Mark is a frame without an event.
func Mark(kind stepv1.LiveKind) *stepv1.LiveFrame { return &stepv1.LiveFrame{Kind: kind} }

// lostKey is the key of a last frame before which events are missing.
const lostKey = "lost"

// Last is the last frame of a stream. whole is false if the stream is known to
// have lost events, which the frames themselves may not show.
func Last(whole bool) *stepv1.LiveFrame {
	last := Mark(stepv1.LiveKind_LIVE_KIND_LAST)
	if !whole {
		last.Key = lostKey
	}
	return last
}

// Keyed returns the frames of events that may be written more than once.
func Keyed(all []transcript.Keyed) []*stepv1.LiveFrame {
	frames := make([]*stepv1.LiveFrame, len(all))
	for i, k := range all {
		frames[i] = Frame(k.Event, k.Key)
	}
	return frames
}
