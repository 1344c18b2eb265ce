package behaviour

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"windlass.dev/windlass/pkg/spectest"
	"windlass.dev/windlass/services/internal/openapi/openapitest"
	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
	"windlass.dev/windlass/services/test/streamcheck"
)

// client is a WebSocket of the API. It belongs to one goroutine.
type client struct {
	tb   testing.TB
	conn *websocket.Conn
}

func dial(tb testing.TB, s *stack.Stack) *client {
	tb.Helper()
	transport := &http.Transport{}
	tb.Cleanup(transport.CloseIdleConnections)
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	conn, resp, err := websocket.Dial(ctx, s.URL+"/v1/responses", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport},
		HTTPHeader: http.Header{"Authorization": {"Bearer " + s.Key}, "OpenAI-Beta": {"responses_websockets=2026-02-06"}},

		CompressionMode: websocket.CompressionContextTakeover,
	})
	if resp != nil && resp.Body != nil {
		_ = resp.Body.Close()
	}
	if err != nil {
		tb.Fatalf("open a WebSocket: %v", err)
	}
	tb.Cleanup(func() { _ = conn.CloseNow() })
	conn.SetReadLimit(16 << 20)
	return &client{tb: tb, conn: conn}
}

// send sends a request of the plan.
func (c *client) send(plan mock.Plan, fields stack.Fields) {
	c.tb.Helper()
	all := stack.Fields{"type": "response.create", "model": "mock", "input": plan.Prompt()}
	for name, value := range fields {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		c.tb.Fatal(err)
	}
	c.write(text)
}

func (c *client) write(text []byte) {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(c.tb.Context(), time.Minute)
	defer cancel()
	if err := c.conn.Write(ctx, websocket.MessageText, text); err != nil {
		c.tb.Fatalf("send a message: %v", err)
	}
}

// next reads one message.
func (c *client) next() (typ string, text []byte) {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(c.tb.Context(), time.Minute)
	defer cancel()
	_, text, err := c.conn.Read(ctx)
	if err != nil {
		c.tb.Fatalf("read a message: %v", err)
	}
	var e struct{ Type string }
	if err := json.Unmarshal(text, &e); err != nil {
		c.tb.Fatalf("%v: %s", err, text)
	}
	return e.Type, text
}

// messages reads the messages of one response to its end, and checks them.
func (c *client) messages() [][]byte {
	c.tb.Helper()
	var all [][]byte
	for {
		typ, text := c.next()
		all = append(all, text)
		if typ == "error" {
			spectest.Conforms(c.tb, spectest.Schema(c.tb, "WebSocketErrorEvent"), text)
		} else if err := errors.Join(spectest.Event(c.tb, text), openapitest.Event(c.tb, text)); err != nil {
			c.tb.Errorf("%v\n%s", err, text)
		}
		switch typ {
		case "error", "response.completed", "response.incomplete", "response.failed":
			for _, v := range streamcheck.CheckMessages(all) {
				c.tb.Errorf("%s", v)
			}
			return all
		}
	}
}

// response reads the messages of one response and returns the final one.
func (c *client) response() stack.Response {
	c.tb.Helper()
	all := c.messages()
	var last struct{ Response json.RawMessage }
	if err := json.Unmarshal(all[len(all)-1], &last); err != nil || last.Response == nil {
		c.tb.Fatalf("the last message is no response: %s", all[len(all)-1])
	}
	r := stack.Response{JSON: last.Response}
	if err := json.Unmarshal(last.Response, &r); err != nil {
		c.tb.Fatal(err)
	}
	return r
}

// ask calls send and response.
func (c *client) ask(plan mock.Plan, fields stack.Fields) stack.Response {
	c.tb.Helper()
	c.send(plan, fields)
	return c.response()
}

// refused reads an error and checks it.
func (c *client) refused(status int, code, param string) {
	c.tb.Helper()
	all := c.messages()
	var e struct {
		Status int
		Error  struct{ Code, Param string }
	}
	if err := json.Unmarshal(all[len(all)-1], &e); err != nil {
		c.tb.Fatal(err)
	}
	if len(all) != 1 || e.Status != status || e.Error.Code != code || e.Error.Param != param {
		c.tb.Errorf("%d messages, the last is %s, want one error of status %d, code %q, param %q", len(all), all[len(all)-1], status, code, param)
	}
}
