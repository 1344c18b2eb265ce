package responseapi

import (
	"errors"
	"net/http"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/services/gateway/internal/cost"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/render"
)

// read is GET /v1/responses/{id}: the response in its present state, or its
// events.
func (s *Server) read(x *httpapi.Exchange, r *http.Request) error {
	events, err := s.wantsStream(x, r)
	if err != nil {
		return err
	}
	if err := httpapi.CheckInclude(r); err != nil {
		return err
	}
	a, err := s.find(x, r)
	if err != nil {
		return err
	}
	if events {
		return s.resume(x, r, a)
	}
	return s.answers.Show(x, a)
}

// find reads the response that the path names. Malformed, unknown, foreign and
// unstored ids, and those of requests that are no responses, are not told
// apart.
func (s *Server) find(x *httpapi.Exchange, r *http.Request) (*answers.Answer, error) {
	public := r.PathValue("id")
	id, ok := run.ResponseID.Parse(public)
	if !ok {
		return nil, render.NotFound(public)
	}
	x.RequestID = run.Hex(id)
	a, err := s.waiters.LookUp(r.Context(), x.Who.Tenant, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && (!a.Stored || render.IsCall(a)) {
		return nil, render.NotFound(public)
	}
	if err != nil {
		return nil, err
	}
	return a, x.ChargeRead(cost.Of(a.Body) + int64(2*len(a.Final)))
}
