package httptool

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"windlass.dev/windlass/pkg/run"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tool serves h and returns a call of it.
func tool(t *testing.T, h http.HandlerFunc) Call {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		server.CloseClientConnections() // handlers that wait see it
		server.Close()
	})
	return Call{
		URL: server.URL, Arguments: []byte(`{"city":"Ulm"}`), AllowPrivate: true, MaxOutputBytes: 1 << 10,
		IdempotencyKey: "key-1", RequestID: "resp_0a", CallID: "call_1", Attempt: 2,
	}
}

func client(t *testing.T) *Client {
	t.Helper()
	c := New(4)
	t.Cleanup(c.Close)
	return c
}

// do makes a call with a deadline of 10 s.
func do(t *testing.T, c *Client, call Call) (Output, *run.Failure) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return c.Do(ctx, call)
}

func wantCode(t *testing.T, f *run.Failure, code string, retriable bool) {
	t.Helper()
	if f == nil {
		t.Fatalf("call succeeded, want failure %s", code)
	}
	if f.Code != code || f.Retriable != retriable {
		t.Errorf("failure = %+v, want code %s, retriable %v", *f, code, retriable)
	}
	for _, secret := range []string{"127.0.0.1", "169.254", "http://", "[::1]"} {
		if strings.Contains(f.Message, secret) {
			t.Errorf("message %q holds an address", f.Message)
		}
	}
}
