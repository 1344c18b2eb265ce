package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"windlass.dev/windlass/pkg/responses/fault"
)

const (
	// socketLife is how long a WebSocket lives, by the specification. A response in flight is told to its end.
	socketLife = time.Hour
	// socketIdle is how long one may be without a request.
	socketIdle = 15 * time.Minute
	// socketQueue is how many messages of one may wait for the response in flight.
	socketQueue = 4
)

// socket is the WebSocket of one client: requests in, events out, one response at a time.
type socket struct {
	server   *server
	x        *exchange
	r        *http.Request // of the upgrade
	conn     *websocket.Conn
	messages chan []byte
	memory   memory
}

// listOrUpgrade is GET /v1/responses.
func (s *server) listOrUpgrade(x *exchange, r *http.Request) error {
	if asksFor(r.Header, "Upgrade", "websocket") {
		return s.upgrade(x, r)
	}
	return s.list(x, r)
}

// upgrade opens the WebSocket mode of POST /v1/responses.
func (s *server) upgrade(x *exchange, r *http.Request) error {
	if !x.who.may(http.MethodPost) {
		return forbidden(x, r)
	}
	if !asksFor(r.Header, "Connection", "upgrade") || r.Header.Get("Sec-WebSocket-Version") != "13" || r.Header.Get("Sec-WebSocket-Key") == "" {
		x.Header().Set("Sec-WebSocket-Version", "13")
		return fault.Invalid("", "", "The handshake of your WebSocket is not one of version 13.")
	}
	s.sockets.Add(1) // before the connection is out of the HTTP server's sight
	defer s.sockets.Done()
	conn, err := websocket.Accept(x, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // of the origin: no page can make a browser send the key
		CompressionMode:    websocket.CompressionNoContextTakeover,
	})
	if err != nil { // Accept has answered
		x.err = err
		return nil
	}
	conn.SetReadLimit(s.cfg.MaxBody)
	k := &socket{server: s, x: x, r: r, conn: conn, messages: make(chan []byte, socketQueue)}
	k.serve(r.Context())
	return nil
}

// asksFor tells whether a header that is a list has the word.
func asksFor(h http.Header, name, word string) bool {
	for _, line := range h.Values(name) {
		for w := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(w), word) {
				return true
			}
		}
	}
	return false
}

// serve answers messages until one of both sides ends the connection.
func (k *socket) serve(ctx context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel(nil)
	defer func() { _ = k.conn.CloseNow() }()
	running.Go(func() { cancel(k.read(context.WithoutCancel(ctx))) }) // until CloseNow: a read that is given up tears the connection
	running.Go(func() { k.ping(ctx) })
	life := time.NewTimer(k.server.socketLife)
	defer life.Stop()
	for {
		message, end := k.next(ctx, life.C)
		if message == nil {
			end(ctx)
			return
		}
		if err := k.handle(ctx, message); err != nil {
			k.leave(ctx)
			return
		}
	}
}

// next waits for a message; nil: the connection is to be ended, and how.
func (k *socket) next(ctx context.Context, life <-chan time.Time) ([]byte, func(context.Context)) {
	select {
	case <-k.server.leaving: // before any message that waits
		return nil, k.goAway
	case <-life:
		return nil, k.expire
	default:
	}
	idle := time.NewTimer(socketIdle)
	defer idle.Stop()
	select {
	case message := <-k.messages:
		return message, nil
	case <-life:
		return nil, k.expire
	case <-idle.C:
		return nil, k.goAway
	case <-k.server.leaving:
		return nil, k.goAway
	case <-ctx.Done():
		return nil, k.leave
	}
}

// read takes messages in until the client hangs up. It never waits for a response, or it would not see that.
func (k *socket) read(ctx context.Context) error {
	for {
		typ, message, err := k.conn.Read(ctx)
		if err != nil {
			return errHungUp
		}
		if typ != websocket.MessageText {
			k.close(websocket.StatusUnsupportedData, "messages are text")
			return errHungUp
		}
		select {
		case k.messages <- message:
		default:
			k.close(websocket.StatusPolicyViolation, "too many messages wait for the response in flight")
			return errHungUp
		}
	}
}

// ping keeps what lies between us and the client from forgetting the connection. A client need not answer: those that read only
// while they wait for a response are silent for as long as their tools run.
func (k *socket) ping(ctx context.Context) {
	for sleep(ctx, keepAlive) {
		wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepAlive) // given up, it may tear the connection
		err := k.conn.Ping(wait)
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return // read knows
		}
	}
}

func (k *socket) expire(context.Context) {
	_ = k.refuse(&fault.Error{
		Status: http.StatusBadRequest, Type: "invalid_request_error", Code: "websocket_connection_limit_reached",
		Message: "The WebSocket has been open for as long as one may be. Open a new one to go on.",
	})
	k.close(websocket.StatusNormalClosure, "")
}

func (k *socket) goAway(context.Context) { k.close(websocket.StatusGoingAway, "") }

// leave ends a connection whose response could not be told to its end, or whose client has gone.
func (k *socket) leave(ctx context.Context) {
	if drained(ctx) {
		k.goAway(ctx)
		return
	}
	k.close(websocket.StatusInternalError, "the response could not be told to its end")
}

// close says why and waits a moment for the client to hear it.
func (k *socket) close(code websocket.StatusCode, reason string) {
	late := time.AfterFunc(lastWords, func() { _ = k.conn.CloseNow() })
	defer late.Stop()
	_ = k.conn.Close(code, reason) // who does not hear it has gone
}
