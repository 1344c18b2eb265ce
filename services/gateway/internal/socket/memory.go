package socket

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/budget"
	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/cost"
	"windlass.dev/windlass/services/internal/compaction"
)

// memory is a response that only the WebSocket knows: one with store=false, or
// a warm-up. It is immutable once kept.
type memory struct {
	id    string
	base  uuid.UUID
	items []item.Item // all items after base
	open  []string    // ids of calls without outputs
	size  int64
	cost  int64         // what items hold
	lease *budget.Lease // closed when it is dropped
}

// newMemory returns what a request adds to what it continues.
func newMemory(c *responses.Create, n store.NewRequest) *memory {
	return &memory{
		id: run.ResponseID.Format(n.ID), base: n.Parent, items: c.Input,
		size: int64(len(n.Body)), cost: cost.Of(n.Body),
	}
}

// fit charges the lease for cost and no more.
func (m *memory) fit() error {
	if more := m.cost - m.lease.Size(); more > 0 {
		return m.lease.Grow(more)
	}
	m.lease.Shrink(m.lease.Size() - m.cost)
	return nil
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
// memories together get too large, or their client holds all the memory that
// it may, the oldest are dropped, and at last the new one: false.
func (m *memories) keep(streamID string, last *memory) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(streamID)
	if last == nil {
		return true
	}
	for last.fit() != nil {
		oldest, ok := m.oldest()
		if !ok {
			last.lease.Close()
			return false
		}
		m.remove(oldest)
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
			m.remove(streamID)
		}
	}
	return m.responses[streamID] != nil
}

// oldest returns the stream_id of the oldest memory, false without any.
func (m *memories) oldest() (streamID string, ok bool) {
	for name, r := range m.responses {
		if !ok || r.at < m.responses[streamID].at {
			streamID, ok = name, true
		}
	}
	return streamID, ok
}

// remove drops what is remembered for a stream_id. The caller holds mu.
func (m *memories) remove(streamID string) {
	if r := m.responses[streamID]; r != nil {
		r.lease.Close()
		delete(m.responses, streamID)
	}
}

// drop drops everything.
func (m *memories) drop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for streamID := range m.responses {
		m.remove(streamID)
	}
}

// forget drops a response after its continuation on the same stream_id failed,
// as the specification wants. A failure on another stream_id leaves it.
func (m *memories) forget(streamID, id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.responses[streamID]; r != nil && r.id == id {
		m.remove(streamID)
	}
}
