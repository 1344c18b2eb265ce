package socket

import (
	"slices"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/fault"
)

const (
	// maxActive is how many responses of one WebSocket are in flight, and
	// socketLanes how many names of lanes it may use. Both are OpenAI's.
	maxActive  = 16
	maxStreams = 32
	// maxWaiting is how many messages of one may wait for their turn. Together
	// they are no larger than socketBodies bodies.
	maxWaiting = 64
	maxBodies  = 4
)

// arrival is a message of the client, as it was read.
type arrival struct {
	responses.Message
	fault *fault.Error // of a malformed message
	size  int64
}

// queue says which message of a WebSocket is next. Those of one lane, which is
// a stream_id, are answered one after the other; those of different lanes side
// by side. It is not safe for concurrent use.
type queue struct {
	most    int64 // bytes that may wait
	names   map[string]bool
	busy    map[string]bool
	waiting []arrival // in their order
	size    int64     // of those
}

func newQueue(most int64) *queue {
	return &queue{most: most, names: make(map[string]bool), busy: make(map[string]bool)}
}

// admit takes a message in; false: more wait than may. One on a lane too many
// is answered like any other, with an error.
func (q *queue) admit(a arrival) bool {
	if a.Lane != "" && a.fault == nil && !q.names[a.Lane] {
		if len(q.names) < maxStreams {
			q.names[a.Lane] = true
		} else {
			a.fault = fault.Invalid("stream_id", "websocket_stream_limit_reached",
				"This WebSocket has used as many different values of 'stream_id' as one may, 32. Use one of those, or open another WebSocket.")
			a.Body = nil
		}
	}
	q.waiting, q.size = append(q.waiting, a), q.size+a.size
	return len(q.waiting) <= maxWaiting && q.size <= q.most
}

// next removes the message to answer now. It returns false if no message can be
// answered now.
func (q *queue) next() (arrival, bool) {
	if len(q.busy) == maxActive {
		return arrival{}, false
	}
	i := slices.IndexFunc(q.waiting, func(a arrival) bool { return !q.busy[a.Lane] })
	if i < 0 {
		return arrival{}, false
	}
	a := q.waiting[i]
	q.waiting, q.size = slices.Delete(q.waiting, i, i+1), q.size-a.size
	q.busy[a.Lane] = true
	return a, true
}

// done says that the lane's message has been answered.
func (q *queue) done(lane string) { delete(q.busy, lane) }

// idle reports whether no message is being answered.
func (q *queue) idle() bool { return len(q.busy) == 0 }
