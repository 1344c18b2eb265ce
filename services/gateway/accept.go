package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/process/failpoint"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/services/internal/carry"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/toolset"
)

// The tiers of the queue, by service_tier; the first is served first.
const (
	tierPriority = iota
	tierDefault
	tierFlex
)

// create is POST /v1/responses.
func (s *server) create(x *exchange, r *http.Request) error {
	body, err := s.readBody(x, r)
	if err != nil {
		return err
	}
	body, c, lane, err := s.resolve(r.Context(), x.who, body)
	switch {
	case err != nil:
		return err
	case !c.Generate:
		return unsupported("generate", "Unsupported parameter: 'generate' is for WebSocket connections.")
	}
	parent, err := s.parent(r.Context(), x.who.tenant, c)
	if err != nil {
		return err
	}
	n, err := s.newRequest(x, r.Header, c, body)
	if err != nil {
		return err
	}
	n.Tenant, n.Lane, n.Parent = x.who.tenant, lane, parent
	if c.Stream {
		return s.stream(r.Context(), x, c, n, func() (sink, error) { return openSSE(x) })
	}
	var ended <-chan struct{}
	if !c.Background { // before the row is there: its end cannot be missed
		ended = s.waiters.watch(n.ID)
		defer s.waiters.forget(n.ID)
	}
	row, err := s.acceptOn(r.Context(), x, c, &n)
	if err != nil {
		return err
	}
	s.dispatch(r.Context(), row)
	if c.Background {
		s.send(x, http.StatusOK, object(c, n.ID, row.Status))
		return nil
	}
	return s.await(x, r, n, ended)
}

// newRequest is the row that a request will have, but for whose it is, its lane and what it continues.
func (s *server) newRequest(x *exchange, h http.Header, c *responses.Create, body []byte) (store.NewRequest, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return store.NewRequest{}, fmt.Errorf("make a request id: %w", err)
	}
	x.requestID = dispatch.BusID(id)
	return store.NewRequest{
		ID: id, Endpoint: store.Responses, Model: c.Model, Tier: tierOf(c.ServiceTier), Background: c.Background, Body: body,
		Timeout: s.cfg.Registry.Limits().Deadline, Trace: traceOf(h), Unstored: !c.Store, Streamed: c.Stream,
		Metadata: c.Metadata,
	}, nil
}

// resolve understands a body, and anew what it becomes with the items that its references name.
func (s *server) resolve(ctx context.Context, who principal, body []byte) ([]byte, *responses.Create, string, error) {
	body, err := s.narrow(who, body)
	if err != nil {
		return nil, nil, "", err
	}
	c, lane, err := s.understand(who, body)
	if err != nil {
		return nil, nil, "", err
	}
	whole, err := s.dereference(ctx, who.tenant, body, c)
	if err == nil && whole != nil {
		body = whole
		c, lane, err = s.understand(who, body)
	}
	return body, c, lane, err
}

// registry is what a principal may call. What its key may not is not there.
func (s *server) registry(who principal) *registry.Registry {
	if who.tools == nil {
		return s.cfg.Registry
	}
	return s.cfg.Registry.Only(who.tools)
}

// narrow is a body in which the request for all registered tools names those that the key may use and that its model is offered: the
// orchestrator does not know the key.
func (s *server) narrow(who principal, body []byte) ([]byte, error) {
	if who.tools == nil {
		return body, nil
	}
	var asked struct{ Model string }
	_ = json.Unmarshal(body, &asked) // a body with a fault is refused when it is decoded
	names := []string{}
	for _, t := range s.registry(who).Tools() {
		if t.OfferedTo(asked.Model) {
			names = append(names, t.Name)
		}
	}
	narrowed, f := responses.WithAllowedTools(body, toolset.ServerLabel, names)
	switch {
	case f != nil:
		return nil, f
	case int64(len(narrowed)) > s.cfg.MaxBody:
		return nil, s.tooLarge()
	}
	return narrowed, nil
}

// understand decodes a body, refuses what is not served to the principal, and finds the model's lane.
func (s *server) understand(who principal, body []byte) (c *responses.Create, lane string, err error) {
	c, f := responses.Decode(body)
	if f = misplaced(run.Responses, body, c, f); f != nil {
		return nil, "", f
	}
	model, f := s.model(who, c.Model)
	if f != nil {
		return nil, "", f
	}
	if f := cmp.Or(c.Refusal(), carry.Refuse(model.Upstream.Dialect, c)); f != nil {
		return nil, "", f
	}
	if err := toolset.Refuse(c, s.registry(who)); err != nil {
		var refusal *toolset.Refusal
		if errors.As(err, &refusal) {
			return nil, "", fault.Invalid(refusal.Param, refusal.Code, refusal.Message)
		}
		return nil, "", err
	}
	if err := s.refuseCompaction(who, c); err != nil {
		return nil, "", err
	}
	return c, model.Lane, nil
}

// accept commits the request's row, with the exchange's Idempotency-Key, within patience. The client's hanging up does not stop it:
// whether there is a row is what the next step needs to know. A request of which that is not known is an orphan, unless its
// key leads to it. store.ErrRepeat: the key was used before, which is for [server.once] to answer.
//
// Where the lane has a free slot and no queue the row starts in progress: a commit and two hops less than by way of the claimer,
// who would do the same.
func (s *server) accept(ctx context.Context, x *exchange, n *store.NewRequest) (store.Row, error) {
	ctx, cancel := patient(context.WithoutCancel(ctx))
	defer cancel()
	tenant := s.tenants.of(n.Tenant)
	n.Limits, n.Weight = limitsOf(tenant), tenant.Weight
	if limit := s.spent.refuse(n.Tenant, n.Limits); limit != nil {
		return store.Row{}, s.tellOver(x, *n, limit)
	}
	if err := s.backlog.admit(ctx); err != nil {
		return store.Row{}, err
	}
	n.Once, n.Admit = x.once, s.freeSlot(n.Lane)
	failpoint.Hit(failpoint.AcceptBeforeCommit)
	began := time.Now()
	a, err := within(ctx, &s.tasks, func(ctx context.Context) (store.Acceptance, error) { return s.store.Accept(ctx, *n) })
	if err != nil {
		return store.Row{}, s.notAccepted(x, *n, began, err)
	}
	x.accepted, x.quota = true, quotaHeaders(n.Limits, a.Quota)
	failpoint.Hit(failpoint.AcceptAfterCommit)
	return a.Row, nil
}

// notAccepted looks after a request that has no row, or maybe one.
func (s *server) notAccepted(x *exchange, n store.NewRequest, began time.Time, err error) error {
	var limit *store.LimitError
	switch {
	case postgres.Unavailable(err):
		if n.Once.Key == "" {
			s.orphans.add(n.Tenant, n.ID)
		}
		return err
	case errors.As(err, &limit):
		s.spent.learn(n.Tenant, n.Limits, began, limit)
		err = s.tellOver(x, n, limit)
	case !errors.Is(err, store.ErrRepeat) && !errors.Is(err, store.ErrStale) && n.Once.Key == "":
		s.orphans.add(n.Tenant, n.ID) // an unknown error: most probably there is no row
	}
	s.backlog.giveBack()
	if n.Admit {
		s.lanes.Release(n.Lane)
	}
	return err
}

func (s *server) tellOver(x *exchange, n store.NewRequest, limit *store.LimitError) error {
	s.metrics.overLimit(limit.Limit)
	x.quota = quotaHeaders(n.Limits, limit.Quota)
	return overLimit(n.Tenant, n.Limits, limit)
}

// freeSlot reserves a slot of the lane by the last known load, and has the load looked at when it is due.
func (s *server) freeSlot(lane string) bool {
	free, ask := s.lanes.Reserve(lane)
	if ask {
		s.tasks.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			s.lanes.Refresh(ctx, lane)
		})
	}
	return free
}

// dispatch makes the accepted request move: its first turn if it was admitted, a hint to the claimers if it is queued. Losing
// either costs seconds.
func (s *server) dispatch(ctx context.Context, row store.Row) {
	if row.Status == store.Queued {
		s.bus.Wake()
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if _, err := s.publish.Publish(ctx, false, row); err != nil {
		s.log.Info("first turn not published, the sweep will", zap.String("request_id", dispatch.BusID(row.ID)), zap.Error(err))
	}
}

func tierOf(service string) int {
	switch service {
	case "priority", "fast", "ultrafast":
		return tierPriority
	case "flex":
		return tierFlex
	}
	return tierDefault
}

var errTrace = errors.New("not a traceparent")

// traceOf is the client's W3C traceparent, if it is one.
func traceOf(h http.Header) string {
	trace := h.Get("Traceparent")
	if checkTrace(trace) != nil {
		return ""
	}
	return trace
}

func checkTrace(trace string) error {
	if len(trace) != len("00-0123456789abcdef0123456789abcdef-0123456789abcdef-01") {
		return errTrace
	}
	for i, c := range []byte(trace) {
		dash := i == 2 || i == 35 || i == 52
		hex := '0' <= c && c <= '9' || 'a' <= c && c <= 'f'
		if dash != (c == '-') || !dash && !hex {
			return errTrace
		}
	}
	return nil
}
