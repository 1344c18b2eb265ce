package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses/conversation"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
	"windlass.dev/windlass/services/internal/transcript"
)

// noConversation answers alike for an id that is malformed, unknown or
// another's, wherever it stands.
func noConversation(id string) *fault.Error {
	return fault.NotFound(fmt.Sprintf("Conversation with id '%s' not found.", httpapi.Excerpt(id)))
}

// aboutConversation asks the database about the conversation that the path
// names.
func aboutConversation[T any](s *server, r *http.Request, ask func(ctx context.Context, id uuid.UUID) (T, error)) (T, error) {
	ctx, cancel := query.WithTimeout(r.Context())
	defer cancel()
	return askAbout(ctx, s, r.PathValue("id"), ask)
}

func askAbout[T any](ctx context.Context, s *server, public string, ask func(ctx context.Context, id uuid.UUID) (T, error)) (T, error) {
	var none T
	id, ok := run.ConversationID.Parse(public)
	if !ok {
		return none, noConversation(public)
	}
	value, err := query.Retry(ctx, &s.tasks, func(ctx context.Context) (T, error) { return ask(ctx, id) })
	if errors.Is(err, store.ErrNotFound) {
		return none, noConversation(public)
	}
	return value, err
}

func (s *server) sendConversation(x *httpapi.Exchange, id uuid.UUID, metadata []byte) {
	x.Send(http.StatusOK, conversation.Conversation{
		ID: run.ConversationID.Format(id), CreatedAt: run.CreatedAt(id), Metadata: metadata,
	}.JSON())
}

// createConversation is POST /v1/conversations.
func (s *server) createConversation(x *httpapi.Exchange, r *http.Request) error {
	body, err := x.ReadBody(r)
	if err != nil {
		return err
	}
	c, f := conversation.Decode(body)
	if f != nil {
		return f
	}
	id, err := x.NewID()
	if err != nil {
		return err
	}
	items, err := s.itemsToKeep(r.Context(), x.Who.Tenant, c.Items)
	if err != nil {
		return err
	}
	n := store.NewConversation{
		ID: id, Tenant: x.Who.Tenant, Metadata: conversation.EncodeMetadata(c.Metadata), Items: transcript.Kept(item.StoredAdditions(id, items)),
	}
	ctx, cancel := query.WithTimeout(r.Context())
	defer cancel()
	_, err = query.Retry(ctx, &s.tasks, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.store.CreateConversation(ctx, n)
	})
	if err != nil {
		return err
	}
	s.sendConversation(x, id, n.Metadata)
	return nil
}

// readConversation is GET /v1/conversations/{id}.
func (s *server) readConversation(x *httpapi.Exchange, r *http.Request) error {
	c, err := aboutConversation(s, r, func(ctx context.Context, id uuid.UUID) (store.Conversation, error) {
		return s.store.Conversation(ctx, x.Who.Tenant, id)
	})
	if err != nil {
		return err
	}
	s.sendConversation(x, c.ID, c.Metadata)
	return nil
}

// updateConversation is POST /v1/conversations/{id}.
func (s *server) updateConversation(x *httpapi.Exchange, r *http.Request) error {
	body, err := x.ReadBody(r)
	if err != nil {
		return err
	}
	metadata, f := conversation.DecodeMetadata(body)
	if f != nil {
		return f
	}
	c, err := aboutConversation(s, r, func(ctx context.Context, id uuid.UUID) (store.Conversation, error) {
		return s.store.SetMetadata(ctx, x.Who.Tenant, id, conversation.EncodeMetadata(metadata))
	})
	if err != nil {
		return err
	}
	s.sendConversation(x, c.ID, c.Metadata)
	return nil
}

// deleteConversation is DELETE /v1/conversations/{id}.
func (s *server) deleteConversation(x *httpapi.Exchange, r *http.Request) error {
	tries := 0
	_, err := aboutConversation(s, r, func(ctx context.Context, id uuid.UUID) (struct{}, error) {
		tries++
		err := s.store.DeleteConversation(ctx, x.Who.Tenant, id)
		if tries > 1 && errors.Is(err, store.ErrNotFound) { // it was our own delete whose answer was lost
			err = nil
		}
		return struct{}{}, err
	})
	if err != nil {
		return err
	}
	x.Send(http.StatusOK, conversation.Deleted(r.PathValue("id")))
	return nil
}
