package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/live"
)

// handle answers one message and logs how. An error: the connection cannot go on.
func (k *socket) handle(ctx context.Context, message []byte) error {
	began := time.Now()
	k.x.requestID = ""
	err := k.create(ctx, message)
	if err != nil {
		k.memory.forget(previousOf(message))
	}
	outcome := http.StatusOK
	var sent error
	switch {
	case errors.Is(err, errHungUp):
		outcome, sent = statusHungUp, err
	case err != nil:
		f := faultOf(err)
		outcome, sent = f.Status, k.refuse(f)
	}
	log, fields := k.server.log.Info, []zap.Field{
		zap.String("kind", "response.create"), zap.String("delivery", k.x.id), zap.String("outcome", strconv.Itoa(outcome)),
		zap.String("request_id", k.x.requestID), zap.Duration("took", time.Since(began)),
	}
	if outcome >= http.StatusInternalServerError {
		log, fields = k.server.log.Warn, append(fields, zap.Error(err))
	}
	log("message served", fields...)
	return sent
}

// previousOf is what a message that could not be answered wanted to continue.
func previousOf(message []byte) string {
	var m struct {
		Previous string `json:"previous_response_id"`
	}
	_ = json.Unmarshal(message, &m) // what is no message continues nothing
	return m.Previous
}

// create answers a message with the events of a response. An error that is not errHungUp is to be told instead of them.
func (k *socket) create(ctx context.Context, message []byte) error {
	body, f := responses.Message(message)
	if f != nil {
		return f
	}
	who, err := k.principal()
	if err != nil {
		return err
	}
	c, n, err := k.understand(ctx, who, body)
	switch {
	case err != nil:
		return err
	case c.Generate:
		return k.respond(ctx, c, n)
	case c.Conversation != "": // it would be in nobody's history
		return unsupported("conversation", "Unsupported parameter: 'conversation' is not supported with 'generate' false.")
	}
	return k.warmUp(c, n)
}

// understand makes a request of a body as create does; one that continues what only this connection knows has all of it as its input.
func (k *socket) understand(ctx context.Context, who principal, body []byte) (*responses.Create, store.NewRequest, error) {
	s := k.server
	var none store.NewRequest
	body, c, lane, err := s.resolve(ctx, who, body)
	if err != nil {
		return nil, none, err
	}
	var parent uuid.UUID
	if k.memory.holds(c.PreviousResponseID) {
		parent = k.memory.base
		if body, err = k.memory.prepend(c, body, s.cfg.MaxBody); err == nil {
			c, lane, err = s.understand(who, body)
		}
	} else {
		parent, err = s.parent(ctx, who.tenant, c)
	}
	if err != nil {
		return nil, none, err
	}
	n, err := s.newRequest(k.x, k.r.Header, c, body)
	if err != nil {
		return nil, none, err
	}
	n.Tenant, n.Lane, n.Parent = who.tenant, lane, parent
	return c, n, nil
}

// principal asks again who holds the key: it may have been revoked since.
func (k *socket) principal() (principal, error) {
	_, key, _ := strings.Cut(k.r.Header.Get("Authorization"), " ")
	who, err := k.server.principal(k.r, strings.TrimSpace(key))
	switch {
	case errors.Is(err, errKeyUnknown):
		return principal{}, unauthorized(k.x, k.r, "Incorrect API key provided.")
	case err != nil:
		return principal{}, err
	case !who.may(http.MethodPost):
		return principal{}, forbidden(k.x, k.r)
	}
	return who, nil
}

// respond runs a request and sends its events.
func (k *socket) respond(ctx context.Context, c *responses.Create, n store.NewRequest) error {
	out := &socketEvents{socket: k}
	if err := k.server.stream(ctx, k.x, c, n, func() (sink, error) { return out, nil }); err != nil {
		return err
	}
	final, err := out.answer()
	switch {
	case err != nil:
		return err
	case final == nil:
		k.memory.forget(c.PreviousResponseID)
		return nil
	}
	k.memory = memory{}
	if c.Store {
		return nil
	}
	output, err := outputOf(final)
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", n.ID, err)
	}
	open, err := openCalls(final)
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", n.ID, err)
	}
	k.memory = memory{id: publicID(n.ID), base: n.Parent, items: slices.Concat(c.Input, output), open: open}
	return nil
}

// warmUp answers a request that asks for nothing but to be continued. No row is made of it: only this connection knows its id.
func (k *socket) warmUp(c *responses.Create, n store.NewRequest) error {
	r := responses.Response{
		ID: publicID(n.ID), Request: c, Status: responses.Completed, CreatedAt: dispatch.CreatedAt(n.ID), CompletedAt: time.Now(),
		Usage: &responses.Usage{},
	}
	events := append(live.Opening(n.ID, c), live.Terminal(responses.Completed, r.JSON()))
	k.memory = memory{id: r.ID, base: n.Parent, items: c.Input}
	for place, e := range events {
		if err := k.write(e.AppendJSON(nil, place)); err != nil {
			return err
		}
	}
	return nil
}
