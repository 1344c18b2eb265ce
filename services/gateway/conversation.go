package gateway

import (
	"context"
	"errors"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/history"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
)

// acceptOn accepts a request that may continue a conversation. It checks the
// conversation first; the insert is refused with store.ErrStale if the
// conversation has changed since.
func (s *server) acceptOn(ctx context.Context, x *httpapi.Exchange, c *responses.Create, n *store.NewRequest) (run.Row, error) {
	if c.Conversation == "" {
		return s.gate.Accept(ctx, x, n)
	}
	for range history.ConversationTries {
		state, err := s.history.ConversationState(ctx, c, n.Tenant)
		if err != nil {
			return run.Row{}, err
		}
		if state.ChangedBy == n.ID { // by an accept whose answer was lost
			return run.Row{Status: run.Queued}, nil
		}
		if f := s.history.CheckConversation(c, state); f != nil {
			return run.Row{}, f
		}
		n.Conversation, n.Seen = state.ID, state.Version
		row, err := s.gate.Accept(ctx, x, n)
		if !errors.Is(err, store.ErrStale) {
			return row, err
		}
	}
	return run.Row{}, history.Locked("conversation")
}
