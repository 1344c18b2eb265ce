package gateway

import (
	"fmt"
	"slices"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/item"
)

// memory is what a WebSocket knows of its last response, if nobody else does: one with store=false, or a warm-up. It is not safe for
// concurrent use.
type memory struct {
	id    string // "": nothing
	base  uuid.UUID
	items []item.Item // everything behind base
	open  []string    // calls that are left to the client
}

// holds tells whether the response is the one that is remembered.
func (m *memory) holds(id string) bool { return id != "" && m.id == id }

// forget is for a response that a continuation has failed of: the specification wants it gone.
func (m *memory) forget(id string) {
	if m.holds(id) {
		*m = memory{}
	}
}

// prepend is the body of a request that continues the remembered response, with all of that as its own input.
func (m *memory) prepend(c *responses.Create, body []byte, most int64) ([]byte, error) {
	if f := c.Answers(m.open); f != nil {
		return nil, f
	}
	whole, f := responses.WithInput(body, slices.Concat(m.items, c.Input))
	if f != nil {
		return nil, f
	}
	if int64(len(whole)) > most {
		return nil, fault.Invalid("previous_response_id", previousTooLong, fmt.Sprintf(
			"Previous response with id '%s' has too long a history: at most %d bytes can be continued.", m.id, most))
	}
	return whole, nil
}
