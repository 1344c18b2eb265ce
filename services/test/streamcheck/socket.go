package streamcheck

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
)

// CheckSocket is CheckMessages for all messages of one WebSocket to a client
// that stayed to the end. The events of its streams are mixed; the responses of
// one stream follow each other.
func CheckSocket(messages [][]byte) []Violation {
	var all []Violation
	streams := make(map[string]*checker)
	for at, m := range messages {
		stream := streamOf(m)
		c := streams[stream]
		if c == nil || c.terminal != "" {
			c = &checker{socket: true}
			streams[stream] = c
		}
		c.at, c.violations = at, nil
		c.event(m)
		all = append(all, c.violations...)
	}
	for _, stream := range slices.Sorted(maps.Keys(streams)) {
		c := streams[stream]
		c.at, c.violations = len(messages), nil
		c.end()
		all = append(all, c.violations...)
	}
	slices.SortStableFunc(all, func(a, b Violation) int { return cmp.Compare(a.Frame, b.Frame) })
	return all
}

// streamOf returns the stream_id of a message; "" for the stream without a
// name.
func streamOf(message []byte) string {
	var e struct {
		Lane string `json:"stream_id"`
	}
	_ = json.Unmarshal(message, &e) // the checker reports what is not an event
	return e.Lane
}
