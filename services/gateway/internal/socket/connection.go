package socket

import (
	"context"
	"errors"
	"time"

	"github.com/coder/websocket"

	"windlass.dev/windlass/pkg/budget"
	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/retry"
	"windlass.dev/windlass/services/gateway/internal/cost"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/stream"
)

// read reads messages until the client hangs up. It never waits for a response:
// it must notice a hang-up while one runs.
func (k *connection) read(ctx context.Context) error {
	for {
		a, err := k.readMessage(ctx)
		if err != nil {
			return err
		}
		select {
		case k.arrivals <- a:
		case <-ctx.Done():
			a.memory.Close()
			return context.Cause(ctx)
		}
	}
}

// readMessage reads one message and charges its client for it. Without memory
// it says so and ends the connection, because the rest of the message would
// have to be read.
func (k *connection) readMessage(ctx context.Context) (arrival, error) {
	var none arrival
	// Until CloseNow, because a cancelled read breaks the connection.
	typ, from, err := k.conn.Reader(context.WithoutCancel(ctx))
	if err != nil {
		return none, httpapi.ErrHungUp
	}
	if typ != websocket.MessageText {
		k.close(websocket.StatusUnsupportedData, "messages are text")
		return none, httpapi.ErrHungUp
	}
	a := arrival{memory: k.lease()}
	late := time.AfterFunc(messageLimit, func() { _ = k.conn.CloseNow() })
	defer late.Stop()
	message, err := cost.Read(ctx, a.memory, from, 0)
	if err == nil {
		a.size = int64(len(message))
		a.Message, a.fault = responses.ReadMessage(message)
		return a, nil
	}
	a.memory.Close()
	if !cost.IsRefusal(err) {
		return none, httpapi.ErrHungUp
	}
	f := httpapi.FaultOf(err)
	_ = k.write(errorMessage(f, httpapi.RetryHeaders(f)))
	k.close(websocket.StatusTryAgainLater, "no memory for this message")
	return none, httpapi.ErrHungUp
}

// lease opens a lease of the connection's client.
func (k *connection) lease() *budget.Lease {
	return k.server.memory.Open(budget.Socket, k.x.Who.Tenant, k.x.Who.KeyID)
}

// ping keeps proxies from closing an idle connection. It needs no answer:
// clients that read only while they wait for a response are silent while their
// tools run.
func (k *connection) ping(ctx context.Context) {
	for retry.Sleep(ctx, stream.KeepAlive) {
		// Not cancelled with ctx, which could break the connection.
		wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), stream.KeepAlive)
		err := k.conn.Ping(wait)
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return // read reports it
		}
	}
}

func (k *connection) expire(context.Context) {
	_ = k.write(errorMessage(fault.Invalid("", "websocket_connection_limit_reached",
		"The WebSocket has reached its maximum lifetime. Open a new one to continue.")))
	k.close(websocket.StatusNormalClosure, "")
}

func (k *connection) overrun(context.Context) {
	k.close(websocket.StatusPolicyViolation, "too many messages wait for the responses in flight")
}

func (k *connection) goAway(context.Context) { k.close(websocket.StatusGoingAway, "") }

// leave ends a connection whose response could not be sent to its end, or whose
// client has gone.
func (k *connection) leave(ctx context.Context) {
	if stream.Drained(ctx) {
		k.goAway(ctx)
		return
	}
	k.close(websocket.StatusInternalError, "the response could not be sent to its end")
}

// close sends a close frame and waits up to closeLimit for the client's.
func (k *connection) close(code websocket.StatusCode, reason string) {
	late := time.AfterFunc(closeLimit, func() { _ = k.conn.CloseNow() })
	defer late.Stop()
	_ = k.conn.Close(code, reason) // on failure the client has gone
}
