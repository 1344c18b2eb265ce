package httptool

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestOtherCharsetsBecomeUTF8(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, kind, body, want string }{
		{"latin-1", "text/plain; charset=ISO-8859-1", "K\xf6ln", "Köln"},
		{"latin-1 in quotes", `text/plain; charset="iso-8859-1"`, "K\xf6ln", "Köln"},
		{"windows-1252", "text/plain; charset=windows-1252", "5\x80", "5€"},
		{"JSON in latin-1", "application/json;charset=latin1", "{\"a\":\"\xfc\"}", `{"a":"ü"}`},
		{"Japanese", "text/html; charset=Shift_JIS", "\x93\xfa\x96\x7b", "日本"},
		{"Chinese", "text/plain; charset=gb2312", "\xd6\xd0\xb9\xfa", "中国"},
		{"Russian", "text/plain; charset=koi8-r", "\xf2\xd5\xd3\xd8", "Русь"},
		{"UTF-16 with a mark", "text/plain; charset=utf-16", "\xff\xfeK\x00\xf6\x00", "Kö"},
		{"UTF-16, big end first", "text/plain; charset=utf-16", "\xfe\xff\x00K\x00\xf6", "Kö"},
		{"UTF-16 without a mark", "text/plain; charset=utf-16le", "K\x00\xf6\x00", "Kö"},
		{"UTF-16BE without a mark", "text/plain; charset=utf-16be", "\x00K\x00\xf6", "Kö"},
		{"UTF-16 that nobody declares", "text/plain", "\xff\xfeK\x00\xf6\x00", "Kö"},
		{"JSON in UTF-16 that nobody declares", "application/json", "{\x00}\x00", "{}"},
		{"JSON in UTF-16BE that nobody declares", "application/problem+json", "\x00{\x00}", "{}"},
		{"a mark of UTF-8", "application/json", "\xef\xbb\xbf{}", "{}"},
		{"a mark of UTF-8 and another charset", "text/plain; charset=latin1", "\xef\xbb\xbfKöln", "Köln"},
		{"HTML by its meta", "text/html", `<html><meta charset="iso-8859-1">` + "K\xf6ln", `<html><meta charset="iso-8859-1">Köln`},
		{
			"HTML by its older meta", "text/html",
			`<meta http-equiv="Content-Type" content="text/html; charset=koi8-r">` + "\xf2",
			`<meta http-equiv="Content-Type" content="text/html; charset=koi8-r">Р`,
		},
		{"HTML that names none", "text/html", "K\xf6ln", "Köln"},
		{"XML by its declaration", "text/xml", `<?xml version="1.0" encoding="ISO-8859-1"?>` + "\xfc", `<?xml version="1.0" encoding="ISO-8859-1"?>ü`},
		{"UTF-8 said to be latin-1", "text/plain; charset=iso-8859-1", "Köln", "Köln"},
		{"UTF-8", "text/plain; charset=utf-8", "Köln", "Köln"},
		{"a charset that is none", "text/plain; charset=klingon", "K\xf6ln", "K\uFFFDln"},
		{"text of no known charset", "text/plain", "K\xf6ln", "K\uFFFDln"},
		{"no text that begins like UTF-16", "application/octet-stream", "\xff\xfe\x00\x01", "[binary output of type application/octet-stream, 4 bytes, not shown]"},
		{"an image", "image/png; charset=latin1", "\x89PNG\x00", "[binary output of type image/png, 5 bytes, not shown]"},
	} {
		header := http.Header{"Content-Type": {tt.kind}}
		out := newOutput(header, decodeText(header, []byte(tt.body)), len(tt.body), 1000)
		got := string(out.Text)
		if got != tt.want {
			t.Errorf("%s: %q becomes %q, want %q", tt.name, tt.body, got, tt.want)
		}
	}
}

// TestWordsInAnotherCharset holds that the text of a failure is decoded, too,
// and that a credential in it is redacted.
func TestWordsInAnotherCharset(t *testing.T) {
	t.Parallel()
	call := tool(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-16le")
		w.WriteHeader(http.StatusBadRequest)
		for _, c := range "Köln: secret-token" {
			_, _ = w.Write([]byte{byte(c), 0})
		}
	})
	call.Bearer = "secret-token"
	if _, f := do(t, client(t), call); f == nil || !strings.HasSuffix(f.Message, ": Köln: [redacted]") {
		t.Errorf("failure = %+v, want the tool's words without the credential", f)
	}
	call = tool(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=latin1")
		_, _ = io.WriteString(w, strings.Repeat("\xf6", 1<<10))
	})
	out, f := do(t, client(t), call)
	if f != nil || !out.Truncated || !strings.HasPrefix(string(out.Text), "ööö") || len(out.Text) > 1<<10+100 {
		t.Errorf("output of %d bytes, %+v; want it cut at the limit after it was decoded", len(out.Text), f)
	}
}

func FuzzDecodeText(f *testing.F) {
	f.Add("text/plain; charset=utf-16", "\xff\xfea\x00")
	f.Add("text/html", "<meta charset=koi8-r>\xf2")
	f.Add("application/json", "\x00{")
	f.Fuzz(func(t *testing.T, kind, body string) {
		got := decodeText(http.Header{"Content-Type": {kind}}, []byte(body))
		if len(got) > 4*len(body)+4 {
			t.Errorf("%d bytes become %d", len(body), len(got))
		}
		if utf8.ValidString(body) && !strings.ContainsRune(body, 0) && !ascii([]byte(body)) && !strings.Contains(kind, "utf-16") &&
			string(got) != strings.TrimPrefix(body, string(utf8Mark)) {
			t.Errorf("UTF-8 %q of %q becomes %q", body, kind, got)
		}
	})
}
