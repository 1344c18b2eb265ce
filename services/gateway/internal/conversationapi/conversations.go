// Package conversationapi serves the routes of conversations and of their
// items.
//
// Deleting a conversation deletes its items at once. A response that runs on it
// fails with conversation_not_found at its next model call; one that makes no
// more is completed and adds nothing (TestDeletedConversationOfAResponse in
// package gateway). Deleting a response leaves its items in the conversation,
// as OpenAI does.
//
// A conversation has an item once: adding it again answers 400
// item_already_in_conversation, and duplicates in a request's input a 400 in
// OpenAI's words. OpenAI takes an id twice if one request brings it, but what
// GET and DELETE of such an id mean is documented nowhere. Items that are
// stored by their ids must have ids that OpenAI takes (TestItemsOfAConversation
// in package gateway).
package conversationapi

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses/conversation"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/conversations"
	"windlass.dev/windlass/services/gateway/internal/history"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
	"windlass.dev/windlass/services/internal/transcript"
)

// Server serves the routes of conversations and their items. It is safe for
// concurrent use.
type Server struct {
	conversations *conversations.Store
	history       *history.Server
	tasks         *sync.WaitGroup
}

// New returns a Server. tasks counts queries that outlive their handler.
func New(c *conversations.Store, h *history.Server, tasks *sync.WaitGroup) *Server {
	return &Server{conversations: c, history: h, tasks: tasks}
}

// Routes returns the routes of conversations.
func (s *Server) Routes() httpapi.Routes {
	return httpapi.Routes{
		"/v1/conversations": {http.MethodPost: s.create},
		"/v1/conversations/{id}": {
			http.MethodGet: s.read, http.MethodPost: s.update, http.MethodDelete: s.delete,
		},
		"/v1/conversations/{id}/items":        {http.MethodGet: s.listItems, http.MethodPost: s.addItems},
		"/v1/conversations/{id}/items/{item}": {http.MethodGet: s.readItem, http.MethodDelete: s.deleteItem},
	}
}

func (s *Server) send(x *httpapi.Exchange, id uuid.UUID, metadata []byte) {
	x.Send(http.StatusOK, conversation.Conversation{
		ID: run.ConversationID.Format(id), CreatedAt: run.CreatedAt(id), Metadata: metadata,
	}.JSON())
}

// create is POST /v1/conversations.
func (s *Server) create(x *httpapi.Exchange, r *http.Request) error {
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
	items, err := s.history.ItemsToKeep(r.Context(), x.Who.Tenant, c.Items)
	if err != nil {
		return err
	}
	n := conversations.NewConversation{
		ID: id, Tenant: x.Who.Tenant, Metadata: conversation.EncodeMetadata(c.Metadata),
		Items: transcript.ConversationItems(item.StoredAdditions(id, items)),
	}
	ctx, cancel := query.WithTimeout(r.Context())
	defer cancel()
	_, err = query.Retry(ctx, s.tasks, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.conversations.Create(ctx, n)
	})
	if err != nil {
		return err
	}
	s.send(x, id, n.Metadata)
	return nil
}

// read is GET /v1/conversations/{id}.
func (s *Server) read(x *httpapi.Exchange, r *http.Request) error {
	c, err := history.QueryPath(
		s.history,
		r,
		func(ctx context.Context, id uuid.UUID) (conversations.Conversation, error) {
			return s.conversations.Read(ctx, x.Who.Tenant, id)
		},
	)
	if err != nil {
		return err
	}
	s.send(x, c.ID, c.Metadata)
	return nil
}

// update is POST /v1/conversations/{id}.
func (s *Server) update(x *httpapi.Exchange, r *http.Request) error {
	body, err := x.ReadBody(r)
	if err != nil {
		return err
	}
	metadata, f := conversation.DecodeMetadata(body)
	if f != nil {
		return f
	}
	c, err := history.QueryPath(
		s.history,
		r,
		func(ctx context.Context, id uuid.UUID) (conversations.Conversation, error) {
			return s.conversations.SetMetadata(ctx, x.Who.Tenant, id, conversation.EncodeMetadata(metadata))
		},
	)
	if err != nil {
		return err
	}
	s.send(x, c.ID, c.Metadata)
	return nil
}

// delete is DELETE /v1/conversations/{id}.
func (s *Server) delete(x *httpapi.Exchange, r *http.Request) error {
	tries := 0
	_, err := history.QueryPath(s.history, r, func(ctx context.Context, id uuid.UUID) (struct{}, error) {
		tries++
		err := s.conversations.Delete(ctx, x.Who.Tenant, id)
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
