package socket

import (
	"slices"

	"windlass.dev/windlass/pkg/budget"
	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/fault"
)

const (
	// maxActive bounds the responses in flight on one WebSocket, maxStreams the
	// different stream_ids that it may use. Both limits are OpenAI's.
	maxActive  = 16
	maxStreams = 32
	// maxWaiting bounds the messages of one WebSocket that wait, maxBodies
	// their size together, in bodies of the largest size.
	maxWaiting = 64
	maxBodies  = 4
)

// arrival is a message of the client.
type arrival struct {
	responses.Message
	fault  *fault.Error // of a malformed message
	size   int64
	memory *budget.Lease // what the message and its response hold
}

// queue orders the messages of a WebSocket. Messages of one stream_id are
// answered one after the other, those of different stream_ids side by side. It
// is not safe for concurrent use.
type queue struct {
	most    int64 // bytes that may wait
	names   map[string]bool
	busy    map[string]bool
	waiting []arrival // in the order of their arrival
	size    int64     // of waiting, in bytes
}

func newQueue(most int64) *queue {
	return &queue{most: most, names: make(map[string]bool), busy: make(map[string]bool)}
}

// admit adds a message. It returns false if too many messages wait. A message
// with one stream_id too many is answered in order, with an error.
func (q *queue) admit(a arrival) bool {
	if a.StreamID != "" && a.fault == nil && !q.names[a.StreamID] {
		if len(q.names) < maxStreams {
			q.names[a.StreamID] = true
		} else {
			a.fault = fault.Invalid("stream_id", "websocket_stream_limit_reached",
				"This WebSocket has used 32 different values of 'stream_id', the maximum. "+
					"Use one of those, or open another WebSocket.")
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
	i := slices.IndexFunc(q.waiting, func(a arrival) bool { return !q.busy[a.StreamID] })
	if i < 0 {
		return arrival{}, false
	}
	a := q.waiting[i]
	q.waiting, q.size = slices.Delete(q.waiting, i, i+1), q.size-a.size
	q.busy[a.StreamID] = true
	return a, true
}

// done reports that the message of a stream_id has been answered.
func (q *queue) done(streamID string) { delete(q.busy, streamID) }

// idle reports whether no message is being answered.
func (q *queue) idle() bool { return len(q.busy) == 0 }
