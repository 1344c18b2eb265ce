// Package socket serves the WebSocket mode of POST /v1/responses.
//
// Each message is a request with a row, and its events are those of a stream.
// Only the connection knows the last response that no other request may read:
// one with store=false, or a warm-up, which has no row. A request that
// continues it is accepted with all of it as its input, so that a worker finds
// everything in the row; its input_items show that. The connection forgets the
// response when a continuation fails, as the specification wants; stored
// responses stay.
//
// Messages of one stream_id are answered one after the other, those of
// different stream_ids side by side (TestTheOrderOfASocket). A message may wait
// instead of being refused, because a client may send the next one before it
// has read the end of the last. stream: true and background: false are
// accepted, though the specification forbids the fields: Codex sends the first,
// and both are true. Pings need no answer: clients that read only while they
// wait could not send one.
//
// On a drain an idle WebSocket is closed with 1001 at once, a busy one at the
// end of its response or of the grace. Each message checks the key again, so
// that a revoke is effective there too.
//
// All that a connection holds is charged to its client: itself, messages from
// their first byte to the accept of their request, and what it remembers
// (TestWarmUpsHoldAShare, TestIdleWebSocketsHoldAShare in package gateway).
// Warm-ups count as requests (TestWarmUpsCountAsRequests).
package socket

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/budget"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/services/gateway/internal/admission"
	"windlass.dev/windlass/services/gateway/internal/auth"
	"windlass.dev/windlass/services/gateway/internal/history"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/responseapi"
	"windlass.dev/windlass/services/gateway/internal/stream"
	"windlass.dev/windlass/services/internal/apikey"
)

const (
	// lifetime is how long a WebSocket lives, by the specification. A
	// response in flight is sent to its end.
	lifetime = time.Hour
	// closeLimit is how long a client has to answer a close.
	closeLimit = 3 * time.Second
	// idleLimit is how long a WebSocket may stay open without a request.
	idleLimit = 15 * time.Minute
	// messageLimit is how long a client may take to send one message, which is
	// in memory meanwhile.
	messageLimit = time.Minute
	// socketCost is what an open WebSocket costs without a message: buffers,
	// goroutines and the state of its compression.
	socketCost = 64 << 10
)

// Server serves the WebSocket mode of POST /v1/responses. It is safe for
// concurrent use.
type Server struct {
	auth    *auth.Checker
	api     *httpapi.API
	rules   *admission.Rules
	history *history.Server
	creator *responseapi.Creator
	gate    *admission.Gate
	memory  *budget.Budget
	life    time.Duration
	leaving <-chan struct{}
	log     *zap.Logger
	open    sync.WaitGroup
}

// Options has what a Server needs.
type Options struct {
	Auth    *auth.Checker
	API     *httpapi.API
	Rules   *admission.Rules
	History *history.Server
	Creator *responseapi.Creator
	Gate    *admission.Gate // counts warm-ups
	Memory  *budget.Budget  // for messages and kept responses; nil: unbounded
	Life    time.Duration   // of a WebSocket; 0: the specification's hour
	Leaving <-chan struct{} // closed when the drain begins
	Log     *zap.Logger
}

// New returns a Server.
func New(o Options) *Server {
	return &Server{
		auth: o.Auth, api: o.API, rules: o.Rules, history: o.History, creator: o.Creator,
		gate: o.Gate, memory: o.Memory, life: cmp.Or(o.Life, lifetime), leaving: o.Leaving, log: o.Log,
	}
}

// UpgradeOr opens a WebSocket for requests that ask for one, and runs h for all
// others.
func (s *Server) UpgradeOr(h httpapi.Handler) httpapi.Handler {
	return func(x *httpapi.Exchange, r *http.Request) error {
		if hasWord(r.Header, "Upgrade", "websocket") {
			return s.upgrade(x, r)
		}
		return h(x, r)
	}
}

// Wait waits until all WebSockets have ended. http.Server.Shutdown does not
// wait for them.
func (s *Server) Wait() { s.open.Wait() }

// connection is the WebSocket of one client: requests in, events out, one
// response at a time on each stream_id.
type connection struct {
	server   *Server
	x        *httpapi.Exchange
	r        *http.Request // of the upgrade
	conn     *websocket.Conn
	limit    time.Duration           // for one write
	end      context.CancelCauseFunc // of all work for the connection
	arrivals chan arrival
	queue    *queue
	memories *memories
}

// upgrade opens the WebSocket mode of POST /v1/responses.
func (s *Server) upgrade(x *httpapi.Exchange, r *http.Request) error {
	if !x.Who.May(http.MethodPost) {
		return auth.MissingScope(x, r, apikey.ScopeResponses)
	}
	if !hasWord(r.Header, "Connection", "upgrade") || r.Header.Get("Sec-WebSocket-Version") != "13" ||
		r.Header.Get("Sec-WebSocket-Key") == "" {
		x.Header().Set("Sec-WebSocket-Version", "13")
		return fault.Invalid("", "", "The handshake of your WebSocket is not one of version 13.")
	}
	if err := s.api.CheckOrigin(r); err != nil {
		return err
	}
	own := s.memory.Open(budget.Socket, x.Who.Tenant, x.Who.KeyID)
	defer own.Close()
	if err := own.Grow(socketCost); err != nil {
		return err
	}
	s.open.Add(1) // before the HTTP server stops tracking the connection
	defer s.open.Done()
	conn, err := websocket.Accept(x, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // of the origin, which CheckOrigin has checked
		CompressionMode:    websocket.CompressionNoContextTakeover,
	})
	if err != nil { // Accept has sent the error
		x.Err = err
		return nil
	}
	conn.SetReadLimit(s.rules.MaxBody)
	k := &connection{
		server: s, x: x, r: r, conn: conn, limit: stream.WriteLimit, arrivals: make(chan arrival),
		queue: newQueue(maxBodies * s.rules.MaxBody), memories: newMemories(maxBodies * s.rules.MaxBody),
	}
	k.serve(r.Context())
	k.dropAll()
	return nil
}

// hasWord reports whether a header, a comma-separated list, contains a word.
func hasWord(h http.Header, name, word string) bool {
	for _, line := range h.Values(name) {
		for w := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(w), word) {
				return true
			}
		}
	}
	return false
}

// serve answers messages until either side ends the connection.
func (k *connection) serve(ctx context.Context) {
	ctx, k.end = context.WithCancelCause(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer k.end(nil)
	defer func() { _ = k.conn.CloseNow() }()
	running.Go(func() { k.end(k.read(ctx)) })
	running.Go(func() { k.ping(ctx) })
	last := k.schedule(ctx, &running)
	last(ctx)
}

// ended reports the end of a turn. With an error the connection cannot
// continue.
type ended struct {
	streamID string
	err      error
}

// schedule starts turns until the connection must end, and returns the function
// that ends it. After the lifetime of the connection, or when the server
// drains, it starts no more turns and waits for those that run; ctx bounds that
// wait.
func (k *connection) schedule(ctx context.Context, running *sync.WaitGroup) (end func(context.Context)) {
	life := time.NewTimer(k.server.life)
	defer life.Stop()
	over, leaving := life.C, k.server.leaving
	ends := make(chan ended, maxActive)
	var last func(context.Context)
	for {
		if last == nil && !isClosed(k.server.leaving) { // checked before each message that waits
			k.begin(ctx, running, ends)
		}
		if last != nil && k.queue.idle() {
			return last
		}
		idle := time.NewTimer(idleLimit)
		select {
		case a := <-k.arrivals:
			if !k.queue.admit(a) {
				return k.overrun
			}
		case t := <-ends:
			if k.queue.done(t.streamID); t.err != nil {
				return k.leave
			}
		case <-over:
			last, over = k.expire, nil
		case <-leaving:
			last, leaving = k.goAway, nil
		case <-idle.C:
			if k.queue.idle() {
				return k.goAway
			}
		case <-ctx.Done():
			return k.leave
		}
		idle.Stop()
	}
}

// begin starts the turns that may run now.
func (k *connection) begin(ctx context.Context, running *sync.WaitGroup, ends chan<- ended) {
	for {
		a, ok := k.queue.next()
		if !ok {
			return
		}
		running.Go(func() {
			t := k.turn(a)
			defer func() { t.memory.Close() }() // unless it was taken
			ends <- ended{a.StreamID, t.run(ctx)}
		})
	}
}

// dropAll releases what waits and what is remembered.
func (k *connection) dropAll() {
	for _, a := range k.queue.waiting {
		a.memory.Close()
	}
	k.memories.drop()
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
