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

// read takes messages in until the client hangs up. It never waits for a
// response, or it would not see that.
func (k *connection) read(ctx context.Context) error {
	for {
		// Until CloseNow: a read that is given up tears the connection.
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

// ping keeps what lies between us and the client from forgetting the
// connection. A client need not answer: those that read only while they wait
// for a response are silent for as long as their tools run.
func (k *connection) ping(ctx context.Context) {
	for retry.Sleep(ctx, stream.KeepAlive) {
		wait, cancel := context.WithTimeout(
			context.WithoutCancel(ctx),
			stream.KeepAlive,
		) // given up, it may tear the connection
		err := k.conn.Ping(wait)
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return // read knows
		}
	}
}

func (k *connection) expire(context.Context) {
	_ = k.write(errorMessage(fault.Invalid("", "websocket_connection_limit_reached",
		"The WebSocket has been open for as long as one may be. Open a new one to go on.")))
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
	k.close(websocket.StatusInternalError, "the response could not be told to its end")
}

// close says why and waits a moment for the client to hear it.
func (k *connection) close(code websocket.StatusCode, reason string) {
	late := time.AfterFunc(closeLimit, func() { _ = k.conn.CloseNow() })
	defer late.Stop()
	_ = k.conn.Close(code, reason) // who does not hear it has gone
}
