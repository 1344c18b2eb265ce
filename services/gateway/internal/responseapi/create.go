package responseapi

import (
	"context"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/admission"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/render"
	"windlass.dev/windlass/services/gateway/internal/stream"
)

// create is POST /v1/responses.
func (s *Creator) create(x *httpapi.Exchange, r *http.Request) error {
	body, err := x.ReadBody(r)
	if err != nil {
		return err
	}
	body, c, lane, err := s.Resolve(r.Context(), x, x.Who, body)
	switch {
	case err != nil:
		return err
	case !c.Generate:
		return httpapi.Unsupported("generate", "Unsupported parameter: 'generate' is for WebSocket connections.")
	}
	parent, err := s.history.Parent(r.Context(), x.Who.Tenant, c)
	if err != nil {
		return err
	}
	n, err := s.NewRequest(x, r.Header, c, body)
	if err != nil {
		return err
	}
	n.Tenant, n.Lane, n.Parent = x.Who.Tenant, lane, parent
	if c.Stream {
		return s.Respond(r.Context(), x, c, n, func() (stream.Sink, error) { return stream.OpenSSE(x) })
	}
	var ended <-chan struct{}
	if !c.Background { // before the row is written, so that its end is not missed
		ended = s.waiters.Watch(n.ID)
		defer s.waiters.Forget(n.ID)
	}
	row, err := s.acceptOn(r.Context(), x, c, &n)
	if err != nil {
		return err
	}
	s.gate.Dispatch(r.Context(), row)
	if !c.Background { // the client waits, maybe for hours
		x.Release(0)
	}
	if c.Background {
		x.Send(http.StatusOK, render.Object(c, n.ID, row.Status))
		return nil
	}
	return s.answers.Await(x, r, n, ended)
}

// NewRequest returns the row of a request, without its tenant, its lane and
// what it continues.
func (s *Creator) NewRequest(
	x *httpapi.Exchange,
	h http.Header,
	c *responses.Create,
	body []byte,
) (store.NewRequest, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return store.NewRequest{}, fmt.Errorf("make a request id: %w", err)
	}
	x.RequestID = run.Hex(id)
	return store.NewRequest{
		ID:         id,
		Endpoint:   run.Responses,
		Model:      c.Model,
		Tier:       admission.TierOf(c.ServiceTier),
		Background: c.Background,
		Body:       body,
		Timeout:    s.deadline,
		Trace:      admission.TraceOf(h),
		Unstored:   !c.Store,
		Streamed:   c.Stream,
		Metadata:   c.Metadata,
	}, nil
}

// Resolve understands a body, replaces references by the items that they name,
// and returns the body, the request and the model's lane. x is charged for a
// body that got longer.
func (s *Creator) Resolve(
	ctx context.Context,
	x *httpapi.Exchange,
	who httpapi.Principal,
	body []byte,
) ([]byte, *responses.Create, string, error) {
	body, err := s.rules.Narrow(who, body)
	if err != nil {
		return nil, nil, "", err
	}
	c, lane, err := s.rules.Understand(who, body)
	if err != nil {
		return nil, nil, "", err
	}
	whole, err := s.history.Dereference(ctx, who.Tenant, body, c)
	if err == nil && whole != nil {
		if err := x.ChargeBody(ctx, whole); err != nil {
			return nil, nil, "", err
		}
		body = whole
		c, lane, err = s.rules.Understand(who, body)
	}
	return body, c, lane, err
}
