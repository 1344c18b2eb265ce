package stream

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/zap"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/render"
)

// untimed is a recorder that accepts write deadlines.
type untimed struct{ *httptest.ResponseRecorder }

func (untimed) SetWriteDeadline(time.Time) error { return nil }

// A client that waits long gets the head of the stream; from then on an error
// is a chunk.
func TestTheHeadOfAStreamIsNotKeptBackForLong(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		waited time.Duration
		want   string
	}{
		"a moment": {KeepAlive / 2, `{"error":{"message":"m","type":"server_error","param":null,"code":"c"}}`},
		"long":     {KeepAlive, "data: {\"error\":{\"message\":\"m\",\"type\":\"server_error\",\"param\":null,\"code\":\"c\"}}\n\ndata: [DONE]\n\n"},
	} {
		rec := untimed{httptest.NewRecorder()}
		x := &httpapi.Exchange{ResponseWriter: rec}
		f := New(Options{Log: zap.NewNop()}).newCallFollower(x, "", [16]byte{}, &Reader{})
		f.head.since = time.Now().Add(-tt.waited)
		if err := f.out.KeepAlive(); err != nil {
			t.Fatal(err)
		}
		if err := f.fail(render.ServerFault(http.StatusBadGateway, "c", "m")); err != nil {
			t.Fatal(err)
		}
		if got := rec.Body.String(); got != tt.want {
			t.Errorf("after %s %q is sent, want %q", name, got, tt.want)
		}
	}
}
