package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
)

// locked refuses what cannot be done while a response is in flight on a
// conversation, in OpenAI's words.
func locked(param string) *fault.Error {
	return fault.Invalid(param, "conversation_locked",
		"Another process is currently operating on this conversation. Please retry in a few seconds.")
}

// acceptOn is accept for a request that may continue a conversation: that is
// looked at first, and the accept is refused by the database if it has moved on
// since.
func (s *server) acceptOn(ctx context.Context, x *httpapi.Exchange, c *responses.Create, n *store.NewRequest) (run.Row, error) {
	if c.Conversation == "" {
		return s.gate.Accept(ctx, x, n)
	}
	for range conversationTries {
		state, err := s.conversationState(ctx, c, n.Tenant)
		if err != nil {
			return run.Row{}, err
		}
		if state.ChangedBy == n.ID { // by an accept whose answer was lost
			return run.Row{Status: run.Queued}, nil
		}
		if f := s.refuseConversation(c, state); f != nil {
			return run.Row{}, f
		}
		n.Conversation, n.Seen = state.ID, state.Version
		row, err := s.gate.Accept(ctx, x, n)
		if !errors.Is(err, store.ErrStale) {
			return row, err
		}
	}
	return run.Row{}, locked("conversation")
}

func (s *server) conversationState(ctx context.Context, c *responses.Create, tenant string) (store.ConversationState, error) {
	var ids []string
	for _, it := range c.Input {
		if it.ID != "" {
			ids = append(ids, it.ID)
		}
	}
	ctx, cancel := query.WithTimeout(ctx)
	defer cancel()
	return askAbout(ctx, s, c.Conversation, func(ctx context.Context, id uuid.UUID) (store.ConversationState, error) {
		return s.store.ConversationState(ctx, tenant, id, ids)
	})
}

// refuseConversation says why a request cannot continue a conversation; nil
// when it can.
func (s *server) refuseConversation(c *responses.Create, state store.ConversationState) *fault.Error {
	switch {
	case state.Locked:
		return locked("conversation")
	case len(state.Present) > 0:
		return responses.Duplicate(slices.Min(state.Present))
	}
	if f := s.refuseLong(c.Conversation, state.Items+len(c.Input), state.Bytes); f != nil {
		f.Param = "conversation"
		return f
	}
	links := make([]responses.Link, len(state.Links))
	for i, l := range state.Links {
		links[i] = responses.Link{CallID: string(l.CallID), Output: l.Answer}
	}
	open, f := responses.Open(links)
	if f != nil {
		return f
	}
	return c.Answers(open)
}

// refuseLong says that a conversation is longer than a response's history may
// be; nil when it is not.
func (s *server) refuseLong(public string, items int, bytes int64) *fault.Error {
	if items <= store.MaxConversationItems && bytes <= s.cfg.MaxBody {
		return nil
	}
	return fault.Invalid("", "conversation_too_long", fmt.Sprintf(
		"Conversation with id '%s' is too long: at most %d items and %d bytes can be continued.",
		httpapi.Excerpt(public), store.MaxConversationItems, s.cfg.MaxBody))
}
