package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/relay"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/admission"
	"windlass.dev/windlass/services/gateway/internal/hints"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
	"windlass.dev/windlass/services/gateway/internal/render"
)

// callHeader names the request in every answer that comes from a model call,
// because the bodies are the upstream's and have ids of their own. The form is
// the one of GET /v1/requests/{id}/steps.
const callHeader = "Windlass-Request-Id"

// oneCall is POST of an endpoint that is one model call. The request is not
// stored: nobody but the client that waits gets its answer.
func (s *server) oneCall(e run.Endpoint) httpapi.Handler {
	return func(x *httpapi.Exchange, r *http.Request) error {
		body, err := x.ReadBody(r)
		if err != nil {
			return err
		}
		c, f := relay.Decode(e, body)
		if f = hints.Misplaced(e, body, nil, f); f != nil {
			return f
		}
		model, f := s.catalog.Find(x.Who, c.Model)
		if f != nil {
			return f
		}
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("make a request id: %w", err)
		}
		x.RequestID = run.Hex(id)
		n := store.NewRequest{
			ID: id, Tenant: x.Who.Tenant, Endpoint: e, Model: c.Model, Lane: model.Lane, Tier: admission.TierOf(c.ServiceTier),
			Body: body, Timeout: s.cfg.Registry.Limits().Deadline, Trace: admission.TraceOf(r.Header), Unstored: true,
			Streamed: c.Stream,
		}
		if c.Stream {
			return s.streamCall(x, r, n)
		}
		return s.call(x, r, n)
	}
}

// call accepts a request that is one model call and answers with its end.
func (s *server) call(x *httpapi.Exchange, r *http.Request, n store.NewRequest) error {
	ended := s.waiters.Watch(n.ID) // before the row is there: its end cannot be missed
	defer s.waiters.Forget(n.ID)
	row, err := s.gate.Accept(r.Context(), x, &n)
	if err != nil {
		return err
	}
	x.Header().Set(callHeader, run.CallID.Format(n.ID))
	s.gate.Dispatch(r.Context(), row)
	a, err := s.waiters.Await(r.Context(), n, ended)
	if err != nil {
		return err
	}
	return s.show(x, a)
}

// callSteps is GET /v1/requests/{id}/steps, the audit trail of a request that
// is one model call. What was said is not shown: such a request is not stored.
func (s *server) callSteps(x *httpapi.Exchange, r *http.Request) error {
	public := r.PathValue("id")
	noRequest := fault.NotFound(fmt.Sprintf("Request with id '%s' not found.", httpapi.Excerpt(public)))
	id, ok := run.CallID.Parse(public)
	if !ok {
		return noRequest
	}
	x.RequestID = run.Hex(id)
	ctx, cancel := query.WithTimeout(r.Context())
	defer cancel()
	steps, err := query.Retry(ctx, &s.tasks, func(ctx context.Context) ([]run.Step, error) {
		return s.store.Call(ctx, x.Who.Tenant, id)
	})
	if err == nil && len(steps) == 0 { // queued, or not there
		var a *store.Answer
		if a, err = s.waiters.LookUp(r.Context(), x.Who.Tenant, id); errors.Is(err, store.ErrNotFound) || err == nil && !render.IsCall(a) {
			return noRequest
		}
	}
	if err != nil {
		return err
	}
	return x.SendJSON(render.Trail(steps, "request.step"))
}
