package streamcheck

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
)

// CheckSocket is CheckMessages for all that one WebSocket has sent to a client who stayed to the end. The events of its lanes come
// mixed, the responses of a lane one after the other.
func CheckSocket(messages [][]byte) []Violation {
	var all []Violation
	lanes := make(map[string]*checker)
	for at, m := range messages {
		lane := laneOf(m)
		c := lanes[lane]
		if c == nil || c.terminal != "" {
			c = &checker{socket: true}
			lanes[lane] = c
		}
		c.at, c.violations = at, nil
		c.event(m)
		all = append(all, c.violations...)
	}
	for _, lane := range slices.Sorted(maps.Keys(lanes)) {
		c := lanes[lane]
		c.at, c.violations = len(messages), nil
		c.end()
		all = append(all, c.violations...)
	}
	slices.SortStableFunc(all, func(a, b Violation) int { return cmp.Compare(a.Frame, b.Frame) })
	return all
}

// laneOf is the stream_id of a message; empty for the lane without a name.
func laneOf(message []byte) string {
	var e struct {
		Lane string `json:"stream_id"`
	}
	_ = json.Unmarshal(message, &e) // the checker says what is no event
	return e.Lane
}
