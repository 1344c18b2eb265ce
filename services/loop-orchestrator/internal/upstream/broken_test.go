package upstream

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/loop-orchestrator/internal/dialect/chat"
	"windlass.dev/windlass/services/loop-orchestrator/internal/dialect/responsesapi"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// A whole answer counts, even if the connection breaks behind it.
func TestAConnectionThatBreaksBehindTheAnswer(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		d    model.Dialect
		body string
		ok   bool
	}{
		"chat":           {chat.Dialect{}, "data: " + chatChunk1 + "\n\ndata: " + chatChunk3 + "\n\n", true},
		"chat, whole":    {chat.Dialect{}, chatWhole, true},
		"chat, cut":      {chat.Dialect{}, "data: " + chatChunk1 + "\n\n", false},
		"responses":      {responsesapi.Dialect{}, "data: " + nativeChunk1 + "\n\ndata: " + nativeChunk3 + "\n\n", true},
		"responses, cut": {responsesapi.Dialect{}, "data: " + nativeChunk1 + "\n\ndata: " + nativeChunk2 + "\n\n", false},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Length", strconv.Itoa(len(tt.body)+10))
			_, _ = io.WriteString(w, tt.body)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}))
		t.Cleanup(s.Close)
		a, err := Client{HTTP: freshClient()}.Complete(t.Context(), registry.Upstream{URL: s.URL}, tt.d, []byte(`{}`), Headers{}, func(model.Delta) {})
		if (err == nil) != tt.ok || tt.ok && len(a.Outputs) != 1 || err != nil && !IsConnectionLost(err) {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ body, encoding, want string }{
		"nothing":             {"", "", "the upstream's answer is malformed: it is empty"},
		"space":               {" \n\n", "", "the upstream's answer is malformed: it is empty"},
		"a page":              {"<!DOCTYPE html><html><head><title>Bad Gateway</title><style>p{}</style></head><body><h1>Bad Gateway</h1><p>nginx</p></body></html>", "", "the upstream's answer is malformed: it is neither JSON nor events: Bad Gateway: nginx"},
		"a text":              {"upstream request timeout", "", "the upstream's answer is malformed: it is neither JSON nor events: upstream request timeout"},
		"bytes":               {"\xff\x00\xfe\x01\x02\x03\xfd\x04\x05\x06\xfc\xfb\xfa\xf9\xf8\x07", "", "the upstream's answer is malformed: 16 bytes that are neither JSON nor events"},
		"an unknown encoding": {"\x0b\x02\x80hi\x03", "br", `the upstream's answer is malformed: it is encoded as "br", which was not asked for`},
		"JSON that was cut":   {`{"choices":[{"message":`, "", "the upstream's answer is malformed: 23 bytes that are no JSON document"},
		"another answer":      {`{"choices":[]}`, "", "the upstream's answer is malformed: it has no choice with a message"},
		"a word in an event":  {"data: Internal error\n\n", "", "Internal error"},
	} {
		for _, listen := range []model.Listen{nil, func(model.Delta) {}} {
			header := http.Header{"Content-Type": {"text/html"}}
			if tt.encoding != "" {
				header.Set("Content-Encoding", tt.encoding)
			}
			_, err := Client{HTTP: freshClient()}.Complete(t.Context(), upstream(t, 200, header, tt.body), chat.Dialect{}, []byte(`{}`), Headers{}, listen)
			var got *run.Failure
			if !errors.As(err, &got) || got.Message != tt.want || !got.Retriable || got.Code != "server_error" {
				t.Errorf("%s: %+v, want %s", name, err, tt.want)
			}
		}
	}
}
