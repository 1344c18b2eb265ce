package httptool

import (
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestOutput(t *testing.T) {
	t.Parallel()
	const limit = 16
	tests := []struct {
		name, kind, encoding, body string
		want                       Output
	}{
		{"nothing", "", "", "", Output{Text: []byte("")}},
		{"JSON as it is", "application/json", "", `{ "a": 1e0 }`, Output{Text: []byte(`{ "a": 1e0 }`), Size: 12}},
		{"JSON with an escaped NUL", "application/json", "", `"a\u0000b"`, Output{Text: []byte(`"a\u0000b"`), Size: 10}},
		{"HTML as text", "text/html; charset=utf-8", "", "<h1>ü</h1>", Output{Text: []byte("<h1>ü</h1>"), Size: 11}},
		{"text said to be binary", "application/octet-stream", "", "plain", Output{Text: []byte("plain"), Size: 5}},
		{"NUL in text", "text/plain", "", "a\x00b", Output{Text: []byte("a\uFFFDb"), Size: 3}},
		{"bad bytes in text", "text/plain", "", "a\xff\xfeb", Output{Text: []byte("a\uFFFDb"), Size: 4}},
		{"image", "image/png", "", "\x89PNG\x00", Output{Text: []byte("[binary output of type image/png, 5 bytes, not shown]"), Size: 5}},
		{"zeros", "application/octet-stream", "", "\x00\x00", Output{
			Text: []byte("[binary output of type application/octet-stream, 2 bytes, not shown]"), Size: 2,
		}},
		{"image without a type", "", "", "\x89PNG\r\n\x1a\n", Output{
			Text: []byte("[binary output of type image/png, 8 bytes, not shown]"), Size: 8,
		}},
		{"type that is none", "\x01;;", "", "\xff", Output{
			Text: []byte("[binary output of type application/octet-stream, 1 bytes, not shown]"), Size: 1,
		}},
		{"unknown encoding", "text/plain", "br", "\x8b\xff", Output{
			Text: []byte("[output in an encoding that is not understood, 2 bytes, not shown]"), Size: 2,
		}},
		{"too much text", "text/plain", "", strings.Repeat("x", limit+1), Output{
			Text: []byte(strings.Repeat("x", limit) + "\n[output cut after 16 bytes]"), Size: limit + 1, Truncated: true,
		}},
		{"cut inside a character", "text/plain", "", "x" + strings.Repeat("€", 5) + "x", Output{
			Text: []byte("x" + strings.Repeat("€", 5) + "\n[output cut after 16 bytes]"), Size: limit + 1, Truncated: true,
		}},
		{"cut before a long character", "text/plain", "", strings.Repeat("x", 14) + "€", Output{
			Text: []byte(strings.Repeat("x", 14) + "\n[output cut after 14 bytes]"), Size: limit + 1, Truncated: true,
		}},
		{"grown beyond the limit", "text/plain", "", strings.Repeat("\x00", 6), Output{
			Text: []byte(strings.Repeat("\uFFFD", 5) + "\n[output cut after 15 bytes]"), Size: 6, Truncated: true,
		}},
		{"too large an image", "image/png", "", strings.Repeat("\xff", limit+1), Output{
			Text: []byte("[binary output of type image/png, more than 16 bytes, not shown]"), Size: limit + 1, Truncated: true,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			header := http.Header{}
			if tt.kind != "" {
				header.Set("Content-Type", tt.kind)
			}
			header.Set("Content-Encoding", tt.encoding)
			if diff := cmp.Diff(tt.want, newOutput(header, []byte(tt.body), len(tt.body), limit), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("output differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoContent(t *testing.T) {
	t.Parallel()
	call := tool(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	if out, f := do(t, client(t), call); f != nil || len(out.Text) != 0 || out.Truncated {
		t.Errorf("Do = %+v, %+v, want an empty output", out, f)
	}
}

func FuzzOutput(f *testing.F) {
	f.Add("text/plain", "a€\x00\xff", 3)
	f.Add("image/png", "\x89PNG", 2)
	f.Add("", "\xf0\x9f\x98\x80", 1)
	f.Fuzz(func(t *testing.T, kind, body string, limit int) {
		limit = 1 + max(limit, -limit-1)%64
		out := newOutput(http.Header{"Content-Type": {kind}}, []byte(body), len(body), limit)
		if !utf8.Valid(out.Text) || strings.ContainsRune(string(out.Text), 0) {
			t.Errorf("output %q of %q is no clean text", out.Text, body)
		}
		if len(out.Text) > limit+250 {
			t.Errorf("output of %d bytes, limit %d", len(out.Text), limit)
		}
	})
}
