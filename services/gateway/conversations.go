package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses/conversation"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/transcript"
)

const conversationPrefix = "conv_"

// publicConversationID is a conversation's id as clients see it.
func publicConversationID(id uuid.UUID) string { return conversationPrefix + dispatch.BusID(id) }

// parseConversationID reads what publicConversationID wrote, in that one spelling.
func parseConversationID(public string) (uuid.UUID, bool) {
	digits, ok := strings.CutPrefix(public, conversationPrefix)
	if !ok {
		return uuid.Nil, false
	}
	id, err := dispatch.RequestID(digits)
	return id, err == nil && publicConversationID(id) == public
}

// noConversation answers alike for an id that is malformed, unknown or another's, wherever it stands.
func noConversation(id string) *fault.Error {
	return fault.NotFound(fmt.Sprintf("Conversation with id '%s' not found.", excerpt(id)))
}

// aboutConversation asks the database about the conversation that the path names.
func aboutConversation[T any](s *server, r *http.Request, ask func(ctx context.Context, id uuid.UUID) (T, error)) (T, error) {
	ctx, cancel := patient(r.Context())
	defer cancel()
	return askAbout(ctx, s, r.PathValue("id"), ask)
}

func askAbout[T any](ctx context.Context, s *server, public string, ask func(ctx context.Context, id uuid.UUID) (T, error)) (T, error) {
	var none T
	id, ok := parseConversationID(public)
	if !ok {
		return none, noConversation(public)
	}
	value, err := within(ctx, &s.tasks, func(ctx context.Context) (T, error) { return ask(ctx, id) })
	if errors.Is(err, store.ErrNotFound) {
		return none, noConversation(public)
	}
	return value, err
}

func (s *server) sendConversation(x *exchange, id uuid.UUID, metadata []byte) {
	s.send(x, http.StatusOK, conversation.Conversation{
		ID: publicConversationID(id), CreatedAt: dispatch.CreatedAt(id), Metadata: metadata,
	}.JSON())
}

// createConversation is POST /v1/conversations.
func (s *server) createConversation(x *exchange, r *http.Request) error {
	body, err := s.readBody(x, r)
	if err != nil {
		return err
	}
	c, f := conversation.Decode(body)
	if f != nil {
		return f
	}
	id, err := x.newID()
	if err != nil {
		return err
	}
	items, err := s.itemsToKeep(r.Context(), x.who.tenant, c.Items)
	if err != nil {
		return err
	}
	n := store.NewConversation{
		ID: id, Tenant: x.who.tenant, Metadata: conversation.EncodeMetadata(c.Metadata), Items: transcript.Kept(item.StoredAdditions(id, items)),
	}
	ctx, cancel := patient(r.Context())
	defer cancel()
	_, err = within(ctx, &s.tasks, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.store.CreateConversation(ctx, n)
	})
	if err != nil {
		return err
	}
	s.sendConversation(x, id, n.Metadata)
	return nil
}

// readConversation is GET /v1/conversations/{id}.
func (s *server) readConversation(x *exchange, r *http.Request) error {
	c, err := aboutConversation(s, r, func(ctx context.Context, id uuid.UUID) (store.Conversation, error) {
		return s.store.Conversation(ctx, x.who.tenant, id)
	})
	if err != nil {
		return err
	}
	s.sendConversation(x, c.ID, c.Metadata)
	return nil
}

// updateConversation is POST /v1/conversations/{id}.
func (s *server) updateConversation(x *exchange, r *http.Request) error {
	body, err := s.readBody(x, r)
	if err != nil {
		return err
	}
	metadata, f := conversation.DecodeMetadata(body)
	if f != nil {
		return f
	}
	c, err := aboutConversation(s, r, func(ctx context.Context, id uuid.UUID) (store.Conversation, error) {
		return s.store.SetMetadata(ctx, x.who.tenant, id, conversation.EncodeMetadata(metadata))
	})
	if err != nil {
		return err
	}
	s.sendConversation(x, c.ID, c.Metadata)
	return nil
}

// deleteConversation is DELETE /v1/conversations/{id}.
func (s *server) deleteConversation(x *exchange, r *http.Request) error {
	tries := 0
	_, err := aboutConversation(s, r, func(ctx context.Context, id uuid.UUID) (struct{}, error) {
		tries++
		err := s.store.DeleteConversation(ctx, x.who.tenant, id)
		if tries > 1 && errors.Is(err, store.ErrNotFound) { // it was our own delete whose answer was lost
			err = nil
		}
		return struct{}{}, err
	})
	if err != nil {
		return err
	}
	s.send(x, http.StatusOK, conversation.Deleted(r.PathValue("id")))
	return nil
}
