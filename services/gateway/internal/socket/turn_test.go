package socket

import (
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
)

// A bug in what answers a message ends its connection, not the gateway.
func TestAPanicOfAMessage(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.InfoLevel)
	broken := &connection{server: &Server{log: zap.New(core)}, x: &httpapi.Exchange{ID: "x"}}
	if err := broken.turn(arrival{}).run(t.Context()); err == nil {
		t.Error("run = nil after a panic, want an error")
	}
	if all := logs.All(); len(all) != 1 || all[0].Level != zapcore.ErrorLevel {
		t.Errorf("logged %v, want one error", all)
	}
}
