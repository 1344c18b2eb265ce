package conversationapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses/conversation"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/conversations"
	"windlass.dev/windlass/services/gateway/internal/history"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
	"windlass.dev/windlass/services/internal/transcript"
)

func noItem(id string) *fault.Error {
	return fault.NotFound(fmt.Sprintf("Item with id '%s' not found in conversation.", httpapi.Excerpt(id)))
}

// listItems is GET /v1/conversations/{id}/items.
func (s *Server) listItems(x *httpapi.Exchange, r *http.Request) error {
	wanted, err := httpapi.ReadPageQuery(r.URL.Query())
	if err != nil {
		return err
	}
	if err := httpapi.CheckInclude(r); err != nil {
		return err
	}
	items, err := history.QueryPath(
		s.history,
		r,
		func(ctx context.Context, id uuid.UUID) ([]conversations.Item, error) {
			if wanted.After != "" && !item.IsID(wanted.After) {
				if _, err := s.conversations.Read(ctx, x.Who.Tenant, id); err != nil {
					return nil, err
				}
				return nil, conversations.ErrNoItem
			}
			return s.conversations.Items(ctx, conversations.Page{
				Tenant: x.Who.Tenant, Conversation: id, OldestFirst: wanted.OldestFirst,
				After: wanted.After, Limit: wanted.Limit + 1,
			})
		},
	)
	if errors.Is(err, conversations.ErrNoItem) {
		f := fault.NotFound(fmt.Sprintf("No item found with id '%s'", httpapi.Excerpt(wanted.After)))
		f.Param = "after"
		return f
	}
	if err != nil {
		return err
	}
	var size int64
	for _, it := range items {
		size += int64(2 * len(it.Data))
	}
	if err := x.ChargeRead(size); err != nil {
		return err
	}
	more := len(items) > wanted.Limit
	return s.sendItems(x, items[:min(len(items), wanted.Limit)], more)
}

func (s *Server) sendItems(x *httpapi.Exchange, items []conversations.Item, more bool) error {
	out := httpapi.Page[json.RawMessage]{Object: "list", Data: make([]json.RawMessage, len(items)), HasMore: more}
	for i, it := range items {
		out.Data[i] = it.Data
	}
	if n := len(items); n > 0 {
		out.FirstID, out.LastID = &items[0].ID, &items[n-1].ID
	}
	return x.SendJSON(out)
}

// readItem is GET /v1/conversations/{id}/items/{item}.
func (s *Server) readItem(x *httpapi.Exchange, r *http.Request) error {
	if err := httpapi.CheckInclude(r); err != nil {
		return err
	}
	name := r.PathValue("item")
	data, err := history.QueryPath(s.history, r, func(ctx context.Context, id uuid.UUID) ([]byte, error) {
		if !item.IsID(name) {
			_, err := s.conversations.Read(ctx, x.Who.Tenant, id)
			return nil, err
		}
		data, err := s.conversations.Item(ctx, x.Who.Tenant, id, name)
		if errors.Is(err, conversations.ErrNoItem) {
			return nil, nil
		}
		return data, err
	})
	switch {
	case err != nil:
		return err
	case data == nil:
		return noItem(name)
	}
	x.Send(http.StatusOK, data)
	return nil
}

// addItems is POST /v1/conversations/{id}/items.
func (s *Server) addItems(x *httpapi.Exchange, r *http.Request) error {
	body, err := x.ReadBody(r)
	if err != nil {
		return err
	}
	items, f := conversation.DecodeItems(body)
	if f != nil {
		return f
	}
	if err := httpapi.CheckInclude(r); err != nil {
		return err
	}
	if items, err = s.history.ItemsToKeep(r.Context(), x.Who.Tenant, items); err != nil {
		return err
	}
	change, err := x.NewID()
	if err != nil {
		return err
	}
	c := conversations.Change{
		ID: change, Tenant: x.Who.Tenant, Add: transcript.ConversationItems(item.StoredAdditions(change, items)),
	}
	added := make([]conversations.Item, len(items))
	ids := make([]string, len(items))
	var size int64
	for i, it := range c.Add {
		added[i], ids[i] = conversations.Item{ID: it.ID, Data: it.Data}, it.ID
		size += int64(len(it.Data))
	}
	_, err = s.changeItems(r, c, ids, func(state conversations.State) *fault.Error {
		if len(state.Present) > 0 {
			return conversation.Present()
		}
		return s.history.CheckLength(r.PathValue("id"), state.Items+len(items), state.Bytes+size)
	})
	if err != nil {
		return err
	}
	return s.sendItems(x, added, false)
}

// deleteItem is DELETE /v1/conversations/{id}/items/{item}. It answers the
// conversation.
func (s *Server) deleteItem(x *httpapi.Exchange, r *http.Request) error {
	name := r.PathValue("item")
	change, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make the id of a change: %w", err)
	}
	c := conversations.Change{ID: change, Tenant: x.Who.Tenant}
	var ids []string
	if item.IsID(name) {
		c.Remove, ids = name, []string{name}
	}
	state, err := s.changeItems(r, c, ids, func(state conversations.State) *fault.Error {
		if len(state.Present) == 0 {
			return noItem(name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.send(x, state.ID, state.Metadata)
	return nil
}

// changeItems changes the conversation that the path names, unless a response
// runs on it or refuse returns an error. refuse gets the state of the
// conversation, with those of ids that are present in it.
func (s *Server) changeItems(
	r *http.Request, c conversations.Change, ids []string, refuse func(conversations.State) *fault.Error,
) (conversations.State, error) {
	public := r.PathValue("id")
	ctx, cancel := query.WithTimeout(r.Context())
	defer cancel()
	for range history.ConversationTries {
		state, err := history.Query(ctx, s.history, public,
			func(ctx context.Context, id uuid.UUID) (conversations.State, error) {
				return s.conversations.State(ctx, c.Tenant, id, ids)
			})
		switch {
		case err != nil:
			return state, err
		case state.ChangedBy == c.ID: // by a try whose answer was lost
			return state, nil
		case state.Locked:
			return state, history.Locked("")
		}
		if f := refuse(state); f != nil {
			return state, f
		}
		c.Conversation, c.Seen = state.ID, state.Version
		_, err = history.Query(ctx, s.history, public, func(ctx context.Context, _ uuid.UUID) (struct{}, error) {
			return struct{}{}, s.conversations.ChangeItems(ctx, c)
		})
		if !errors.Is(err, store.ErrStale) {
			return state, err
		}
	}
	return conversations.State{}, history.Locked("")
}
