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

// memory is what a WebSocket alone knows of a response: one
// with store=false, or a warm-up. It is never written to.
type memory struct {
	id    string
	base  uuid.UUID
	items []item.Item // everything behind base
	open  []string    // calls that are left to the client
	size  int64
}

// prepend is the body of a request that continues the response, with all of
// that as its own input.
func (m *memory) prepend(c *responses.Create, body []byte, most int64) ([]byte, error) {
	if f := c.Answers(m.open); f != nil {
		return nil, f
	}
	whole, f := responses.WithInput(body, slices.Concat(untriggered(m.items), c.Input))
	if f != nil {
		return nil, f
	}
	if int64(len(whole)) > most {
		return nil, fault.Invalid("previous_response_id", run.CodePreviousTooLong, fmt.Sprintf(
			"Previous response with id '%s' has too long a history: at most %d bytes can be continued.", m.id, most))
	}
	return whole, nil
}

// untriggered is input without the item that asks for a compaction: it asked
// that of one request only.
func untriggered(input []item.Item) []item.Item {
	return slices.DeleteFunc(slices.Clone(input), func(it item.Item) bool { return it.Type == compaction.Trigger })
}

// memories are what a WebSocket knows of the last response of each lane. Every
// lane may continue every one of them. They are safe for concurrent use.
type memories struct {
	most int64 // bytes

	mu    sync.Mutex
	lanes map[string]*remembered
	clock int
}

// remembered is a memory that is as old as the clock says.
type remembered struct {
	*memory
	at int
}

func newMemories(most int64) *memories {
	return &memories{most: most, lanes: make(map[string]*remembered)}
}

// find looks for a response by its id; nil: it is not remembered.
func (m *memories) find(id string) *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.lanes {
		if r.id == id {
			return r.memory
		}
	}
	return nil
}

// keep remembers the last response of a lane, or, nil, that it need not be,
// instead of the one before it. Where all together get too large the oldest are
// forgotten.
func (m *memories) keep(lane string, last *memory) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.lanes, lane)
	if last == nil {
		return
	}
	m.clock++
	m.lanes[lane] = &remembered{last, m.clock}
	var size int64
	newest := slices.SortedFunc(
		maps.Keys(m.lanes),
		func(a, b string) int { return cmp.Compare(m.lanes[b].at, m.lanes[a].at) },
	)
	for _, lane := range newest {
		if size += m.lanes[lane].size; size > m.most {
			delete(m.lanes, lane)
		}
	}
}

// forget is for a response that a continuation on its own lane has failed of:
// the specification wants it gone. One that failed on another lane leaves it
// there.
func (m *memories) forget(lane, id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.lanes[lane]; r != nil && r.id == id {
		delete(m.lanes, lane)
	}
}
