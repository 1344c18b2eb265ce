package bus

import (
	"context"
	"errors"

	"windlass.dev/windlass/pkg/bus/internal/topology"
	"windlass.dev/windlass/pkg/bus/subject"
)

// Purge deletes the queued turn and tool commands of one request, in flight or
// not. A worker that has one may not notice.
func (b *Bus) Purge(ctx context.Context, requestID string) error {
	id := subject.Token(requestID)
	return b.conn.Purge(ctx, requestID, map[string]string{
		topology.StreamTurn: "turn.*." + id + ".>",
		topology.StreamTool: "tool.*.*." + id + ".>",
	})
}

// Erase deletes everything the streams hold of one request that is over: its
// commands, its events with the tool results in them, and its marks. Dead
// letters, which carry no payloads, stay for people.
func (b *Bus) Erase(ctx context.Context, requestID string) error {
	id := subject.Token(requestID)
	return errors.Join(b.Purge(ctx, requestID), b.conn.Purge(ctx, requestID, map[string]string{
		topology.StreamFinal: "final." + id + ".*",
		topology.StreamStep:  "step.*." + id + ".>",
		topology.StreamMark:  "mark.*." + id + ".*",
		topology.StreamLive:  subject.ForLive(requestID).Tail(),
	}))
}
