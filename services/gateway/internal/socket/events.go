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
	remember func(final []byte) error // what the connection has to know of a response that can be continued
}

// event sends an event. What comes of its end is settled before: the client may
// go on, on any lane, as soon as it has it.
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
	if err != nil { // ours are read everywhere else, too
		o.forget()
		o.server.log.Error("answer not read", zap.String("request_id", o.x.RequestID), zap.Error(err))
	}
}

func (o *events) Fail(why *fault.Error, _ int) error {
	o.forget()
	return o.refuse(why)
}

// keep has nothing to do: ping does.
func (o *events) KeepAlive() error { return nil }

func (o *events) Done() error { return nil }

// cut leaves it to the socket to end the connection.
func (o *events) Cut() {}

// refuse sends an error, with what HTTP has in the head of a refusal.
func (t *turn) refuse(f *fault.Error) error {
	return t.write(errorMessage(f, t.x.Quota, httpapi.RetryHeaders(f)))
}

// errorMessage is an error in the form that it has over a WebSocket, where each
// has a code. Headers are in two places: OpenAI's SDKs know them in the error,
// Codex beside it.
func errorMessage(f *fault.Error, headers ...http.Header) []byte {
	told := *f
	told.Code = cmp.Or(f.Code, f.Type)
	b := told.AppendJSON(fmt.Appendf(nil, `{"type":"error","status":%d,"error":`, f.Status))
	if more := headersMember(headers); more != nil {
		b = slices.Concat(b[:len(b)-1], more, []byte("}"), more)
	}
	return append(b, '}')
}

// headersMember is what follows the other members of an object that has
// headers; nil if all are empty.
func headersMember(all []http.Header) []byte {
	told := map[string]string{}
	for _, h := range all {
		for name := range h {
			told[strings.ToLower(name)] = h.Get(name)
		}
	}
	if len(told) == 0 {
		return nil
	}
	headers, _ := json.Marshal(told) // strings always go
	return append([]byte(`,"headers":`), headers...)
}

// write sends one message on the stream. It returns errHungUp if the client has
// gone.
func (t *turn) write(message []byte) error {
	if t.Lane != "" { // of characters that need no escape
		message = fmt.Appendf(message[:len(message)-1], `,"stream_id":"%s"}`, t.Lane)
	}
	return t.connection.write(message)
}

// write sends one message. It returns errHungUp if the client has gone. If the
// client does not read in time, that ends the connection for all lanes, whose
// responses it can resume.
func (k *connection) write(message []byte) error {
	// Of its own: the reader's end closes the connection, and that ends a
	// write.
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	late := time.AfterFunc(k.limit, func() {
		// Before the write gives the connection up, which looks like a client
		// that left.
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
