package conn

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestUnavailable(t *testing.T) {
	t.Parallel()
	api := func(code int, is jetstream.ErrorCode) error { return &jetstream.APIError{Code: code, ErrorCode: is} }
	for name, tt := range map[string]struct {
		err  error
		want bool
	}{
		"nil":               {nil, false},
		"cancelled":         {context.Canceled, false},
		"late":              {fmt.Errorf("publish: %w", context.DeadlineExceeded), true},
		"timeout":           {nats.ErrTimeout, true},
		"no answer":         {fmt.Errorf("publish: %w", jetstream.ErrAsyncPublishTimeout), true},
		"no responders":     {nats.ErrNoResponders, true},
		"no stream answers": {jetstream.ErrNoStreamResponse, true},
		"disconnected":      {nats.ErrDisconnected, true},
		"connection closed": {nats.ErrConnectionClosed, true},
		"no servers":        {nats.ErrNoServers, true},
		"no leader":         {api(503, codeNotLeader), true},
		"store failed":      {api(503, codeStoreFailed), true},
		"no space":          {api(500, 10047), true},
		"too large":         {fmt.Errorf("%w: %w", ErrTooLarge, nats.ErrMaxPayload), false},
		"bad request":       {api(400, 10003), false},
		"permission":        {nats.ErrPermissionViolation, false},
		"unknown":           {errors.New("something else"), false},
	} {
		if got := Unavailable(tt.err); got != tt.want {
			t.Errorf("Unavailable(%s) = %t, want %t", name, got, tt.want)
		}
	}
}
