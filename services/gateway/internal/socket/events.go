package socket

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/stream"
)

// events is the sink of one response: each event is one message. The end
// of a response is its last event.
type events struct {
	*turn
	remember func(final []byte) error // keeps a response that can be continued
}

// Event sends an event. The connection's memory is updated before the last
// event is sent: the client may continue the response, on any stream_id, once
// it has it.
func (o *events) Event(e event.Event, place int) error {
	message := e.AppendJSON(nil, place)
	switch e.Type {
	case "response.completed", "response.incomplete":
		o.settle(message)
	case "response.failed":
		o.forget()
	}
	return o.write(message)
}

func (o *events) settle(message []byte) {
	var last struct{ Response json.RawMessage }
	err := json.Unmarshal(message, &last)
	if err == nil {
		err = o.remember(last.Response)
	}
	if err != nil { // a bug: every other reader parses these objects
		o.forget()
		o.server.log.Error("answer not read", zap.String("request_id", o.x.RequestID), zap.Error(err))
	}
}

func (o *events) Fail(why *fault.Error, _ int) error {
	o.forget()
	return o.refuse(why)
}

// KeepAlive does nothing, because ping keeps the connection alive.
func (o *events) KeepAlive() error { return nil }

func (o *events) Done() error { return nil }

// Cut does nothing: schedule ends the connection.
func (o *events) Cut() {}

// refuse sends an error, with the headers that an HTTP refusal has.
func (t *turn) refuse(f *fault.Error) error {
	return t.write(errorMessage(f, t.x.Quota, httpapi.RetryHeaders(f)))
}

// errorMessage encodes an error as a WebSocket message, in which every error
// has a code. Headers are in two places: OpenAI's SDKs read them in the error,
// Codex beside it.
func errorMessage(f *fault.Error, headers ...http.Header) []byte {
	sent := *f
	sent.Code = cmp.Or(f.Code, f.Type)
	b := sent.AppendJSON(fmt.Appendf(nil, `{"type":"error","status":%d,"error":`, f.Status))
	if more := headersMember(headers); more != nil {
		b = slices.Concat(b[:len(b)-1], more, []byte("}"), more)
	}
	return append(b, '}')
}

// headersMember returns the member "headers", with the comma before it; nil if
// all headers are empty.
func headersMember(all []http.Header) []byte {
	lower := map[string]string{}
	for _, h := range all {
		for name := range h {
			lower[strings.ToLower(name)] = h.Get(name)
		}
	}
	if len(lower) == 0 {
		return nil
	}
	headers, _ := json.Marshal(lower) // strings always encode
	return append([]byte(`,"headers":`), headers...)
}

// write sends one message with the turn's stream_id. It returns
// httpapi.ErrHungUp if the client has gone.
func (t *turn) write(message []byte) error {
	if t.StreamID != "" { // its characters need no escape
		message = fmt.Appendf(message[:len(message)-1], `,"stream_id":"%s"}`, t.StreamID)
	}
	return t.connection.write(message)
}

// write sends one message. It returns httpapi.ErrHungUp if the client has gone.
// If the client does not read in time, the connection ends; the client can
// resume the responses of all its streams.
func (k *connection) write(message []byte) error {
	// Not the caller's context: when read ends, the connection is closed, and
	// that ends the write.
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	late := time.AfterFunc(k.limit, func() {
		// Record the cause before the write fails, which looks like a hang-up.
		k.end(fmt.Errorf("%w: %w", httpapi.ErrHungUp, stream.ErrSlow))
		stop()
	})
	defer late.Stop()
	err := k.conn.Write(ctx, websocket.MessageText, message)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", httpapi.ErrHungUp, stream.ErrSlow)
	}
	return httpapi.ErrHungUp
}
