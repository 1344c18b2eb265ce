package socket

import (
	"context"
	"errors"
	"time"

	"github.com/coder/websocket"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/retry"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/stream"
)

// read reads messages until the client hangs up. It never waits for a response:
// it must notice a hang-up while one runs.
func (k *connection) read(ctx context.Context) error {
	for {
		// Until CloseNow, because a cancelled read breaks the connection.
		typ, message, err := k.conn.Read(context.WithoutCancel(ctx))
		if err != nil {
			return httpapi.ErrHungUp
		}
		if typ != websocket.MessageText {
			k.close(websocket.StatusUnsupportedData, "messages are text")
			return httpapi.ErrHungUp
		}
		a := arrival{size: int64(len(message))}
		a.Message, a.fault = responses.ReadMessage(message)
		select {
		case k.arrivals <- a:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
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
