package socket

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/internal/compaction"
)

// memory is a response that only the WebSocket knows: one with store=false, or
// a warm-up. It is immutable.
type memory struct {
	id    string
	base  uuid.UUID
	items []item.Item // all items after base
	open  []string    // ids of calls without outputs
	size  int64
}

// prepend returns the body of a request that continues the response, with all
// items of the response put before its input.
func (m *memory) prepend(c *responses.Create, body []byte, most int64) ([]byte, error) {
	if f := c.Answers(m.open); f != nil {
		return nil, f
	}
	whole, f := responses.WithInput(body, slices.Concat(withoutTrigger(m.items), c.Input))
	if f != nil {
		return nil, f
	}
	if int64(len(whole)) > most {
		return nil, fault.Invalid("previous_response_id", run.CodePreviousTooLong, fmt.Sprintf(
			"Previous response with id '%s' has too long a history: at most %d bytes can be continued.", m.id, most))
	}
	return whole, nil
}

// withoutTrigger returns input without the item that requests a compaction,
// because that was for one request only.
func withoutTrigger(input []item.Item) []item.Item {
	return slices.DeleteFunc(slices.Clone(input), func(it item.Item) bool { return it.Type == compaction.Trigger })
}

// memories hold the last response of each stream_id of a WebSocket. Every
// stream_id may continue each of them. They are safe for concurrent use.
type memories struct {
	most int64 // bytes

	mu        sync.Mutex
	responses map[string]*remembered // by stream_id
	clock     int
}

// remembered is a memory with its age: the clock when it was kept.
type remembered struct {
	*memory
	at int
}

func newMemories(most int64) *memories {
	return &memories{most: most, responses: make(map[string]*remembered)}
}

// find returns a response by its id, nil if it is not remembered.
func (m *memories) find(id string) *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.responses {
		if r.id == id {
			return r.memory
		}
	}
	return nil
}

// keep replaces what is remembered for a stream_id; nil drops it. If all
// memories together get too large, the oldest are dropped.
func (m *memories) keep(streamID string, last *memory) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.responses, streamID)
	if last == nil {
		return
	}
	m.clock++
	m.responses[streamID] = &remembered{last, m.clock}
	var size int64
	newest := slices.SortedFunc(
		maps.Keys(m.responses),
		func(a, b string) int { return cmp.Compare(m.responses[b].at, m.responses[a].at) },
	)
	for _, streamID := range newest {
		if size += m.responses[streamID].size; size > m.most {
			delete(m.responses, streamID)
		}
	}
}

// forget drops a response after its continuation on the same stream_id failed,
// as the specification wants. A failure on another stream_id leaves it.
func (m *memories) forget(streamID, id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.responses[streamID]; r != nil && r.id == id {
		delete(m.responses, streamID)
	}
}
