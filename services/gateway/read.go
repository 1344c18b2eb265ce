package gateway

import (
	"context"
	"errors"
	"net/http"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/dispatch"
)

// read is GET /v1/responses/{id}: the response as it stands, or its events.
func (s *server) read(x *exchange, r *http.Request) error {
	events, err := s.wantsStream(x, r)
	if err != nil {
		return err
	}
	if err := includes(r); err != nil {
		return err
	}
	a, err := s.find(x, r)
	if err != nil {
		return err
	}
	if events {
		return s.resume(x, r, a)
	}
	return s.show(x, a)
}

// find reads the response that the path names. Malformed, unknown, foreign and unstored ids, and those of requests that are no
// responses, are not told apart.
func (s *server) find(x *exchange, r *http.Request) (*store.Answer, error) {
	public := r.PathValue("id")
	id, ok := parseID(public)
	if !ok {
		return nil, notFound(public)
	}
	x.requestID = dispatch.BusID(id)
	a, err := s.lookUp(r.Context(), x.who.tenant, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && (!a.Stored || isCall(a)) {
		return nil, notFound(public)
	}
	return a, err
}

func (s *server) lookUp(ctx context.Context, tenant string, id uuid.UUID) (*store.Answer, error) {
	ctx, cancel := patient(ctx)
	defer cancel()
	return within(ctx, &s.tasks, func(ctx context.Context) (*store.Answer, error) { return s.store.Answer(ctx, tenant, id) })
}

// show sends a request as it stands.
func (s *server) show(x *exchange, a *store.Answer) error {
	if isCall(a) {
		return s.showCall(x, a)
	}
	body, err := render(a)
	if err != nil {
		return err
	}
	s.send(x, http.StatusOK, body)
	return nil
}
