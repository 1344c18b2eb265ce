// Package chatapi serves chat completions, completions and embeddings, requests
// that are one model call.
//
// They are requests like any other, and never stored: their parameter store is
// for the upstream. No route of responses shows them. GET
// /v1/requests/{id}/steps shows what happened, without prompts and outputs, as
// far as an operator needs it and a client that did not ask for storage may
// expect. What an upstream can do is not in the registry; the upstream refuses
// the rest in words that clients know. The upstream is always asked for its
// usage.
package chatapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/relay"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/services/gateway/internal/admission"
	"windlass.dev/windlass/services/gateway/internal/answer"
	"windlass.dev/windlass/services/gateway/internal/catalog"
	"windlass.dev/windlass/services/gateway/internal/hints"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
	"windlass.dev/windlass/services/gateway/internal/render"
	"windlass.dev/windlass/services/gateway/internal/wait"
)

// Server serves the endpoints that are one model call. It is safe for
// concurrent use.
type Server struct {
	store   *store.Store
	models  *catalog.Models
	answers *answer.Server
	waiters *wait.Waiters
	limit   time.Duration // from the accept to the deadline
	tasks   *sync.WaitGroup
}

// Options is what a ChatServer needs.
type Options struct {
	Store    *store.Store
	Models   *catalog.Models
	Answers  *answer.Server
	Waiters  *wait.Waiters
	Deadline time.Duration   // of requests, from their accept on
	Tasks    *sync.WaitGroup // counts queries that outlive their handler
}

// New returns a ChatServer.
func New(o Options) *Server {
	return &Server{
		store: o.Store, models: o.Models, answers: o.Answers, waiters: o.Waiters, limit: o.Deadline, tasks: o.Tasks,
	}
}

// Routes are the routes of the endpoints and of their audit trail.
func (s *Server) Routes() httpapi.Routes {
	return httpapi.Routes{
		run.ChatCompletions.Path(): {http.MethodPost: s.create(run.ChatCompletions)},
		run.Completions.Path():     {http.MethodPost: s.create(run.Completions)},
		run.Embeddings.Path():      {http.MethodPost: s.create(run.Embeddings)},
		"/v1/requests/{id}/steps":  {http.MethodGet: s.steps},
	}
}

// create is POST of an endpoint that is one model call. The request is not
// stored: only the client that waits for it gets its answer.
func (s *Server) create(e run.Endpoint) httpapi.Handler {
	return func(x *httpapi.Exchange, r *http.Request) error {
		body, err := x.ReadBody(r)
		if err != nil {
			return err
		}
		c, f := relay.Decode(e, body)
		if f = hints.Misplaced(e, body, nil, f); f != nil {
			return f
		}
		model, f := s.models.Find(x.Who, c.Model)
		if f != nil {
			return f
		}
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("make a request id: %w", err)
		}
		x.RequestID = run.Hex(id)
		n := store.NewRequest{
			ID:       id,
			Tenant:   x.Who.Tenant,
			Endpoint: e,
			Model:    c.Model,
			Lane:     model.Lane,
			Tier:     admission.TierOf(c.ServiceTier),
			Body:     body,
			Timeout:  s.limit,
			Trace:    admission.TraceOf(r.Header),
			Unstored: true,
			Streamed: c.Stream,
		}
		if c.Stream {
			return s.answers.StreamCall(x, r, n)
		}
		return s.answers.Call(x, r, n)
	}
}

// steps is GET /v1/requests/{id}/steps, the audit trail of a request that is
// one model call, without prompts and outputs, because such a request is not
// stored.
func (s *Server) steps(x *httpapi.Exchange, r *http.Request) error {
	public := r.PathValue("id")
	noRequest := fault.NotFound(fmt.Sprintf("Request with id '%s' not found.", httpapi.Excerpt(public)))
	id, ok := run.CallID.Parse(public)
	if !ok {
		return noRequest
	}
	x.RequestID = run.Hex(id)
	ctx, cancel := query.WithTimeout(r.Context())
	defer cancel()
	steps, err := query.Retry(ctx, s.tasks, func(ctx context.Context) ([]run.Step, error) {
		return s.store.Call(ctx, x.Who.Tenant, id)
	})
	if err == nil && len(steps) == 0 { // queued, or not there
		var a *answers.Answer
		if a, err = s.waiters.LookUp(
			r.Context(),
			x.Who.Tenant,
			id,
		); errors.Is(err, store.ErrNotFound) ||
			err == nil && !render.IsCall(a) {
			return noRequest
		}
	}
	if err != nil {
		return err
	}
	return x.SendJSON(render.Trail(steps, "request.step"))
}
