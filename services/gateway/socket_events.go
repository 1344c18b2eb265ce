package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/coder/websocket"

	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/responses/fault"
)

// socketEvents is the sink of one response: each event is one message. The end of a response is its last event.
type socketEvents struct {
	socket *socket
	last   event.Event
	failed bool // the last message was an error
}

func (o *socketEvents) event(e event.Event, place int) error {
	o.last = e
	return o.socket.write(e.AppendJSON(nil, place))
}

func (o *socketEvents) fail(why *fault.Error, _ int) error {
	o.failed = true
	return o.socket.refuse(why)
}

// keep has nothing to do: ping does.
func (o *socketEvents) keep() error { return nil }

func (o *socketEvents) done() error { return nil }

// cut leaves it to the socket to end the connection.
func (o *socketEvents) cut() {}

// answer is the final object of a response that can be continued, or nil.
func (o *socketEvents) answer() ([]byte, error) {
	if o.failed || o.last.Type != "response.completed" && o.last.Type != "response.incomplete" {
		return nil, nil
	}
	var last struct{ Response json.RawMessage }
	if err := json.Unmarshal(o.last.AppendJSON(nil, 0), &last); err != nil {
		return nil, fmt.Errorf("read the last event of a response: %w", err)
	}
	return last.Response, nil
}

// refuse sends an error in the form that it has over a WebSocket, where each has a code.
func (k *socket) refuse(f *fault.Error) error {
	told := *f
	told.Code = cmp.Or(f.Code, f.Type)
	b := fmt.Appendf(nil, `{"type":"error","status":%d,"error":`, f.Status)
	return k.write(append(told.AppendJSON(b), '}'))
}

// write sends one message. errHungUp: nobody reads it.
func (k *socket) write(message []byte) error {
	// Of its own: the reader's end closes the connection, and that ends a write.
	ctx, cancel := context.WithTimeout(context.Background(), streamWrite)
	defer cancel()
	err := k.conn.Write(ctx, websocket.MessageText, message)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", errHungUp, errSlow)
	}
	return errHungUp
}
