package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/relay"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/dispatch"
)

// callHeader tells with every answer that came of a model call which request it was, in the form that callSteps reads: the bodies
// are the upstream's and have an id of their own.
const (
	callHeader = "Windlass-Request-Id"
	callPrefix = "req_"
)

// oneCall is POST of an endpoint that is one model call. The request is not stored: nobody but the client that waits gets its
// answer.
func (s *server) oneCall(e run.Endpoint) handler {
	return func(x *exchange, r *http.Request) error {
		body, err := s.readBody(x, r)
		if err != nil {
			return err
		}
		c, f := relay.Decode(e, body)
		if f = misplaced(e, body, nil, f); f != nil {
			return f
		}
		model, f := s.model(x.who, c.Model)
		if f != nil {
			return f
		}
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("make a request id: %w", err)
		}
		x.requestID = dispatch.BusID(id)
		n := store.NewRequest{
			ID: id, Tenant: x.who.tenant, Endpoint: e, Model: c.Model, Lane: model.Lane, Tier: tierOf(c.ServiceTier),
			Body: body, Timeout: s.cfg.Registry.Limits().Deadline, Trace: traceOf(r.Header), Unstored: true,
			Streamed: c.Stream,
		}
		if c.Stream {
			return s.streamCall(x, r, n)
		}
		return s.call(x, r, n)
	}
}

// call accepts a request that is one model call and answers with its end.
func (s *server) call(x *exchange, r *http.Request, n store.NewRequest) error {
	ended := s.waiters.watch(n.ID) // before the row is there: its end cannot be missed
	defer s.waiters.forget(n.ID)
	row, err := s.accept(r.Context(), x, &n)
	if err != nil {
		return err
	}
	x.Header().Set(callHeader, callPrefix+x.requestID)
	s.dispatch(r.Context(), row)
	return s.await(x, r, n, ended)
}

// isCall tells requests that are one model call from responses.
func isCall(a *store.Answer) bool { return a.Endpoint != store.Responses }

// callSteps is GET /v1/requests/{id}/steps, the audit trail of a request that is one model call. What was said is not shown: such
// a request is not stored.
func (s *server) callSteps(x *exchange, r *http.Request) error {
	public := r.PathValue("id")
	noRequest := fault.NotFound(fmt.Sprintf("Request with id '%s' not found.", excerpt(public)))
	digits, ok := strings.CutPrefix(public, callPrefix)
	id, err := dispatch.RequestID(digits)
	if !ok || err != nil || dispatch.BusID(id) != digits {
		return noRequest
	}
	x.requestID = digits
	ctx, cancel := patient(r.Context())
	defer cancel()
	steps, err := within(ctx, &s.tasks, func(ctx context.Context) ([]store.Step, error) {
		return s.store.Call(ctx, x.who.tenant, id)
	})
	if err == nil && len(steps) == 0 { // queued, or not there
		var a *store.Answer
		if a, err = s.lookUp(r.Context(), x.who.tenant, id); errors.Is(err, store.ErrNotFound) || err == nil && !isCall(a) {
			return noRequest
		}
	}
	if err != nil {
		return err
	}
	return s.sendJSON(x, trail(steps, "request.step"))
}
