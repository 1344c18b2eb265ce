package upstream

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/loop-orchestrator/internal/dialect/chat"
	"windlass.dev/windlass/services/loop-orchestrator/internal/dialect/responsesapi"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

const (
	chatWhole  = `{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hello €"},"finish_reason":"stop"}]}`
	chatChunk1 = `{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":"hello "}}]}`
	chatChunk2 = `{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"€"}}]}`
	chatChunk3 = `{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`

	nativeWhole  = `{"id":"r","object":"response","status":"completed","output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"hello €"}]}]}`
	nativeChunk1 = `{"type":"response.output_item.added","output_index":0,"item":{"type":"message","role":"assistant","content":[]}}`
	nativeChunk2 = `{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"hello €"}`
	nativeChunk3 = `{"type":"response.completed","response":{"status":"completed","output":[]}}`
)

func packed(tb testing.TB, with func(io.Writer) io.WriteCloser, text string) string {
	tb.Helper()
	var b bytes.Buffer
	w := with(&b)
	if _, err := io.WriteString(w, text); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

// forms returns the ways in which servers write an answer of these documents.
func forms(tb testing.TB, whole string, chunks ...string) map[string]string {
	tb.Helper()
	lines := func(before, after string) string {
		var all strings.Builder
		for _, c := range chunks {
			all.WriteString(before + c + after)
		}
		return all.String()
	}
	events := lines("data: ", "\n\n")
	return map[string]string{
		"events":                        events + "data: [DONE]\n\n",
		"events without a mark":         events,
		"events without blank lines":    lines("data: ", "\n"),
		"events without spaces":         lines("data:", "\n\n") + "data:[DONE]\n\n",
		"events of windows":             lines("data: ", "\r\n\r\n"),
		"events with names and ids":     lines("id: 1\nevent: chunk\ndata: ", "\n\n"),
		"events and comments":           ": PROCESSING\n\n" + lines(": keep-alive\n\ndata: ", "\n\n:\n\n"),
		"events and signs of life":      "data: ping\n\ndata: null\n\ndata: {\"type\":\"ping\"}\n\n" + events,
		"events behind space":           "\n\n  \r\n" + events,
		"events behind a mark":          "\ufeff" + events,
		"documents in lines":            lines("", "\n"),
		"documents without lines":       lines("", ""),
		"documents, and the mark":       lines("", " ") + "data: [DONE]",
		"a list of documents":           "[" + strings.Join(chunks, ",\n") + "]",
		"JSON":                          whole,
		"JSON behind space":             "\r\n \t" + whole + "\n",
		"JSON behind a mark":            "\ufeff" + whole,
		"JSON and the mark of the end":  whole + "\n\ndata: [DONE]\n\n",
		"JSON and garbage":              whole + "\n<!-- served by x -->\n\x00",
		"JSON in a list":                "[" + whole + "]",
		"JSON in lines":                 strings.ReplaceAll(whole, ",", ",\n\n"),
		"JSON in an event":              "data: " + whole + "\n\ndata: [DONE]\n\n",
		"JSON in an event of its own":   "event: message\ndata: " + whole,
		"JSON by gzip, which none said": packed(tb, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }, whole),
		"events by deflate":             packed(tb, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }, events),
	}
}

// TestForms holds that a body is read by its content, whatever the request
// asked for and the Content-Type says.
func TestForms(t *testing.T) {
	t.Parallel()
	for _, dialect := range []struct {
		name  string
		d     model.Dialect
		forms map[string]string
	}{
		{"chat", chat.Dialect{}, forms(t, chatWhole, chatChunk1, chatChunk2, chatChunk3)},
		{"responses", responsesapi.Dialect{}, forms(t, nativeWhole, nativeChunk1, nativeChunk2, nativeChunk3)},
	} {
		for name, body := range dialect.forms {
			for _, media := range []string{"application/json", "text/event-stream; charset=utf-8", "text/plain", "application/octet-stream", ""} {
				for _, listen := range []model.Listen{nil, func(model.Delta) {}} {
					at := upstream(t, 200, http.Header{"Content-Type": {media}}, body)
					a, err := Client{HTTP: freshClient()}.Complete(t.Context(), at, dialect.d, []byte(`{}`), Headers{}, listen)
					if err != nil || len(a.Outputs) != 1 || a.Outputs[0].Parts[0].Text != "hello €" || a.Finish != model.Stopped {
						t.Errorf("%s, %s as %q, listening %v: %+v, %v", dialect.name, name, media, listen != nil, a, err)
					}
				}
			}
		}
	}
}

// A body is decompressed by its content, whatever the Content-Encoding says.
func TestEncodings(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ said, body string }{
		"gzip that is said":     {"gzip", packed(t, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }, chatWhole)},
		"gzip that is not":      {"", packed(t, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }, "data: "+chatWhole+"\n\n")},
		"no gzip":               {"gzip", chatWhole},
		"no brotli":             {"br", chatWhole},
		"identity":              {"identity", chatWhole},
		"deflate that is said":  {"deflate", packed(t, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }, chatWhole)},
		"gzip of several parts": {"gzip", packed(t, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }, chatWhole[:40]) + packed(t, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }, chatWhole[40:])},
	} {
		header := http.Header{}
		if tt.said != "" {
			header.Set("Content-Encoding", tt.said)
		}
		a, err := Client{HTTP: freshClient()}.Complete(t.Context(), upstream(t, 200, header, tt.body), chat.Dialect{}, []byte(`{}`), Headers{}, nil)
		if err != nil || len(a.Outputs) != 1 || a.Outputs[0].Parts[0].Text != "hello €" {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
	refused := upstream(t, 400, http.Header{"Content-Encoding": {"gzip"}}, packed(t, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }, `{"detail":"why"}`))
	if _, err := (Client{HTTP: freshClient()}).Post(t.Context(), refused, "/x", nil, Headers{}); err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("a refusal by gzip: %v", err)
	}
}

// The form of a body does not depend on how its bytes arrive, even in the
// middle of a character or a mark.
func TestFormsByte(t *testing.T) {
	t.Parallel()
	for name, body := range forms(t, chatWhole, chatChunk1, chatChunk2, chatChunk3) {
		resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(iotest.OneByteReader(strings.NewReader(body)))}
		s := chat.Dialect{}.Stream(func(model.Delta) {})
		var text string
		_, err := (&answer{resp: resp, endIn: func(time.Duration) {}}).read(t.Context(), func(doc []byte, whole bool) error {
			if whole {
				a, err := chat.Dialect{}.Decode(doc)
				if err == nil {
					text, err = a.Outputs[0].Parts[0].Text, ErrComplete
				}
				return err
			}
			return s.Event(doc)
		})
		if a, failed := s.Answer(); failed == nil && text == "" {
			text = a.Outputs[0].Parts[0].Text
		}
		if err != nil || text != "hello €" {
			t.Errorf("%s is %q, %v", name, text, err)
		}
	}
}

// Texts of megabytes arrive whole, in one line or in many.
func TestLargeAnswers(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("ü€😀\\n", 400_000)
	chunk := strings.Replace(chatChunk2, "€", text, 1)
	for name, body := range map[string]string{
		"one piece":   "data: " + chunk + "\n\ndata: " + chatChunk3 + "\n\n",
		"many pieces": strings.Repeat("data: "+chatChunk2+"\n\n", 50_000) + "data: " + chatChunk3 + "\n\n",
		"whole":       strings.Replace(chatWhole, "hello €", text, 1),
	} {
		at := upstream(t, 200, nil, body)
		a, err := Client{HTTP: freshClient()}.Complete(t.Context(), at, chat.Dialect{}, []byte(`{}`), Headers{}, func(model.Delta) {})
		want := strings.ReplaceAll(text, `\n`, "\n")
		if name == "many pieces" {
			want = strings.Repeat("€", 50_000)
		}
		if err != nil || a.Outputs[0].Parts[0].Text != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A complete answer ends the call, although some servers keep the connection
// open behind it.
func TestAnAnswerWithoutAnEnd(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		d    model.Dialect
		body string
	}{
		"JSON":           {responsesapi.Dialect{}, nativeWhole},
		"events":         {responsesapi.Dialect{}, "data: " + nativeChunk1 + "\n\ndata: " + nativeChunk2 + "\n\ndata: " + nativeChunk3 + "\n\n"},
		"chat, whole":    {chat.Dialect{}, chatWhole},
		"chat, a reason": {chat.Dialect{}, "data: " + chatChunk1 + "\n\ndata: " + chatChunk3 + "\n\n"},
	} {
		left := make(chan struct{})
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, tt.body)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			close(left)
		}))
		at := registry.Upstream{URL: s.URL}
		a, err := Client{HTTP: freshClient()}.Complete(t.Context(), at, tt.d, []byte(`{}`), Headers{}, func(model.Delta) {})
		if err != nil || len(a.Outputs) != 1 {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
		<-left
		s.Close()
	}
}

// FuzzForms holds that any body is an answer, a retriable failure, or a failure
// that says why it is final.
func FuzzForms(f *testing.F) {
	for _, body := range forms(f, chatWhole, chatChunk1, chatChunk2, chatChunk3) {
		f.Add([]byte(body), "text/plain")
	}
	f.Add([]byte(`{"error":{"message":"x","code":400}}`), "")
	f.Add([]byte("event: error\ndata: boom\n\n"), "text/event-stream")
	f.Fuzz(func(t *testing.T, body []byte, media string) {
		read := func(from io.Reader) (docs []string, done bool, err error) {
			resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {media}}, Body: io.NopCloser(from)}
			done, err = (&answer{resp: resp, endIn: func(time.Duration) {}}).read(t.Context(), func(doc []byte, _ bool) error {
				docs = append(docs, string(doc))
				return nil
			})
			return docs, done, err
		}
		docs, done, err := read(bytes.NewReader(body))
		slowly, doneSlowly, errSlowly := read(iotest.OneByteReader(bytes.NewReader(body)))
		if diff := cmp.Diff(docs, slowly); diff != "" || done != doneSlowly || (err == nil) != (errSlowly == nil) {
			t.Fatalf("%v, %v (-at once +by bytes):\n%s", err, errSlowly, diff)
		}
		var call *run.Failure
		if err != nil && (!errors.As(err, &call) || call.Message == "" || call.Code == "") {
			t.Fatalf("error %v, want a run.Failure that says why", err)
		}
	})
}
