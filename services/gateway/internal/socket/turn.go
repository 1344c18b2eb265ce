package socket

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/budget"
	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/cost"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/render"
	"windlass.dev/windlass/services/gateway/internal/stream"
	"windlass.dev/windlass/services/internal/livestream"
)

// turn answers one message of the client. Turns of different stream_ids run at
// the same time.
type turn struct {
	*connection
	arrival

	x *httpapi.Exchange // its own, because an exchange collects what one request logs
}

func (k *connection) turn(a arrival) *turn {
	return &turn{connection: k, arrival: a, x: k.x.ForMessage(a.memory)}
}

// run is handle, except that it turns a panic, which would end the process,
// into an error.
func (t *turn) run(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = httpapi.PanicError(p)
			t.server.log.Error("message not served", zap.String("delivery", t.x.ID),
				zap.String("request_id", t.x.RequestID), zap.Error(err))
		}
	}()
	return t.handle(ctx)
}

// handle answers the message and logs the outcome. After an error the
// connection cannot continue.
func (t *turn) handle(ctx context.Context) error {
	began := time.Now()
	err := t.create(ctx)
	outcome := http.StatusOK
	var sent error
	switch {
	case errors.Is(err, httpapi.ErrHungUp):
		outcome, sent = httpapi.StatusHungUp, err
	case err != nil:
		t.forget()
		f := httpapi.FaultOf(err)
		outcome, sent = f.Status, t.refuse(f)
	}
	log, fields := t.server.log.Info, []zap.Field{
		zap.String("kind", "response.create"), zap.String("delivery", t.x.ID),
		zap.String("outcome", strconv.Itoa(outcome)), zap.String("request_id", t.x.RequestID),
		zap.Duration("took", time.Since(began)),
	}
	switch {
	case outcome >= http.StatusInternalServerError:
		log, fields = t.server.log.Warn, append(fields, zap.Error(err))
	case outcome != http.StatusOK && outcome != httpapi.StatusHungUp:
		f := httpapi.FaultOf(err)
		fields = append(fields, zap.String("code", f.Code), zap.String("error", httpapi.WithoutQuotes(f.Message)))
	}
	log("message served", fields...)
	return sent
}

// forget drops the response that the message failed to continue.
func (t *turn) forget() { t.memories.forget(t.StreamID, t.Previous) }

// create answers the message with the events of a response. An error that is
// not httpapi.ErrHungUp is sent in their place.
func (t *turn) create(ctx context.Context) error {
	if t.fault != nil {
		return t.fault
	}
	who, err := t.server.auth.CheckAgain(t.x, t.r)
	if err != nil {
		return err
	}
	c, n, err := t.understand(ctx, who)
	switch {
	case err != nil:
		return err
	case c.Generate:
		return t.respond(ctx, c, n)
	case c.Conversation != "": // no row would add it to the conversation
		return httpapi.Unsupported(
			"conversation", "Unsupported parameter: 'conversation' is not supported with 'generate' false.",
		)
	}
	if err := t.server.gate.CountWarmUp(ctx, t.x, n); err != nil {
		return err
	}
	return t.warmUp(c, n)
}

// understand builds a request from the message, as create does from a body. A
// request that continues a response which only this connection knows gets all
// of it as its input.
func (t *turn) understand(ctx context.Context, who httpapi.Principal) (*responses.Create, store.NewRequest, error) {
	s := t.server
	var none store.NewRequest
	body, c, lane, err := s.creator.Resolve(ctx, t.x, who, t.Body)
	if err != nil {
		return nil, none, err
	}
	var parent uuid.UUID
	if m := t.memories.find(c.PreviousResponseID); m != nil {
		parent = m.base
		if body, err = m.prepend(c, body, s.rules.MaxBody); err == nil {
			err = t.x.ChargeBody(ctx, body)
		}
		if err == nil {
			c, lane, err = s.rules.Understand(who, body)
		}
	} else {
		parent, err = s.history.Parent(ctx, who.Tenant, c)
	}
	if err != nil {
		return nil, none, err
	}
	n, err := s.creator.NewRequest(t.x, t.r.Header, c, body)
	if err != nil {
		return nil, none, err
	}
	n.Tenant, n.Lane, n.Parent = who.Tenant, lane, parent
	return c, n, nil
}

// respond runs a request and sends its events.
func (t *turn) respond(ctx context.Context, c *responses.Create, n store.NewRequest) error {
	kept := newMemory(c, n)
	t.Body, t.x.Keeps = nil, !c.Store
	out := &events{turn: t, remember: func(final []byte) error { return t.remember(c, kept, final) }}
	return t.server.creator.Respond(ctx, t.x, c, n, func() (stream.Sink, error) { return out, nil })
}

// remember keeps the output of a response that is not stored. A stored response
// drops what was kept before it.
func (t *turn) remember(c *responses.Create, m *memory, final []byte) error {
	if c.Store {
		t.memories.keep(t.StreamID, nil)
		return nil
	}
	output, err := render.Output(final)
	if err != nil {
		return err
	}
	if m.open, err = render.OpenCalls(final); err != nil {
		return err
	}
	m.items = slices.Concat(m.items, output)
	m.size, m.cost = m.size+int64(len(final)), m.cost+cost.Of(final)
	m.lease = t.takeLease()
	t.memories.keep(t.StreamID, m)
	return nil
}

// takeLease returns the lease of the message. A memory keeps it.
func (t *turn) takeLease() *budget.Lease {
	lease := t.memory
	t.memory = nil
	return lease
}

// warmUp answers a request that only prepares its continuation. It has no row:
// only this connection knows its id.
func (t *turn) warmUp(c *responses.Create, n store.NewRequest) error {
	r := responses.Response{
		ID:          run.ResponseID.Format(n.ID),
		Request:     c,
		Status:      run.Completed,
		CreatedAt:   run.CreatedAt(n.ID),
		CompletedAt: time.Now(),
		Usage:       &responses.Usage{},
	}
	events := append(livestream.Opening(n.ID, c), livestream.Terminal(run.Completed, r.JSON()))
	kept := newMemory(c, n)
	kept.lease = t.takeLease()
	if !t.memories.keep(t.StreamID, kept) {
		return budget.ErrShare
	}
	for place, e := range events {
		if err := t.write(e.AppendJSON(nil, place)); err != nil {
			return err
		}
	}
	return nil
}
