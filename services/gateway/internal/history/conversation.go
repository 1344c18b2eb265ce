package history

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/conversations"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
)

// ConversationTries bounds how often a write repeats its read of a conversation
// that others change in between.
const ConversationTries = 5

// Locked is the refusal of what cannot be done while a response runs on a
// conversation, in OpenAI's words.
func Locked(param string) *fault.Error {
	return fault.Invalid(param, run.CodeConversationLocked,
		"Another process is currently operating on this conversation. Please retry in a few seconds.")
}

// noConversation is the same for an id that is malformed, unknown or another
// tenant's.
func noConversation(id string) *fault.Error {
	return fault.NotFound(fmt.Sprintf("Conversation with id '%s' not found.", httpapi.Excerpt(id)))
}

// QueryPath runs a query about the conversation that the path of r names, in
// bounded time.
func QueryPath[T any](
	s *Server, r *http.Request, ask func(ctx context.Context, id uuid.UUID) (T, error),
) (T, error) {
	ctx, cancel := query.WithTimeout(r.Context())
	defer cancel()
	return Query(ctx, s, r.PathValue("id"), ask)
}

// Query runs a query about the conversation with a public id. A malformed id
// and store.ErrNotFound are a 404.
func Query[T any](
	ctx context.Context, s *Server, public string, ask func(ctx context.Context, id uuid.UUID) (T, error),
) (T, error) {
	var none T
	id, ok := run.ConversationID.Parse(public)
	if !ok {
		return none, noConversation(public)
	}
	value, err := query.Retry(ctx, s.tasks, func(ctx context.Context) (T, error) { return ask(ctx, id) })
	if errors.Is(err, store.ErrNotFound) {
		return none, noConversation(public)
	}
	return value, err
}

// ConversationState returns the state of the conversation that c names, and
// which ids of c's input are in it already.
func (s *Server) ConversationState(
	ctx context.Context, c *responses.Create, tenant string,
) (conversations.State, error) {
	var ids []string
	for _, it := range c.Input {
		if it.ID != "" {
			ids = append(ids, it.ID)
		}
	}
	ctx, cancel := query.WithTimeout(ctx)
	defer cancel()
	return Query(ctx, s, c.Conversation, func(ctx context.Context, id uuid.UUID) (conversations.State, error) {
		return s.conversations.State(ctx, tenant, id, ids)
	})
}

// CheckConversation refuses a request that cannot continue a conversation in
// its state. Calls that are open in the conversation need their outputs.
func (s *Server) CheckConversation(c *responses.Create, state conversations.State) *fault.Error {
	switch {
	case state.Locked:
		return Locked("conversation")
	case len(state.Present) > 0:
		return responses.Duplicate(slices.Min(state.Present))
	}
	if f := s.CheckLength(c.Conversation, state.Items+len(c.Input), state.Bytes); f != nil {
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

// CheckLength refuses a conversation that is longer than a response's history
// may be.
func (s *Server) CheckLength(public string, items int, bytes int64) *fault.Error {
	if items <= conversations.MaxItems && bytes <= s.maxBody {
		return nil
	}
	return fault.Invalid("", run.CodeConversationTooLong, fmt.Sprintf(
		"Conversation with id '%s' is too long: at most %d items and %d bytes can be continued.",
		httpapi.Excerpt(public), conversations.MaxItems, s.maxBody))
}

// WithConversation returns body with all items of the conversation that c names
// put before its own input. It does not lock the conversation, which may change
// meanwhile: use it for requests that only read.
func (s *Server) WithConversation(
	ctx context.Context, tenant string, body []byte, c *responses.Create,
) ([]byte, error) {
	state, err := s.ConversationState(ctx, c, tenant)
	if err != nil {
		return nil, err
	}
	state.Locked = false
	if f := s.CheckConversation(c, state); f != nil {
		return nil, f
	}
	items, err := s.readItems(ctx, tenant, c.Conversation)
	if err != nil {
		return nil, err
	}
	whole, f := responses.WithInput(body, slices.Concat(items, c.Input))
	if f != nil {
		return nil, f
	}
	return whole, nil
}

func (s *Server) readItems(ctx context.Context, tenant, public string) ([]item.Item, error) {
	ctx, cancel := query.WithTimeout(ctx)
	defer cancel()
	data, err := Query(ctx, s, public, func(ctx context.Context, id uuid.UUID) ([][]byte, error) {
		return s.conversations.History(ctx, tenant, id)
	})
	if err != nil {
		return nil, err
	}
	items := make([]item.Item, len(data))
	for i, b := range data {
		it, f := item.Parse(b)
		if f != nil {
			return nil, fmt.Errorf("read item %d of a conversation: %w", i, f)
		}
		items[i] = it
	}
	return items, nil
}
