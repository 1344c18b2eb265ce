package httptool

import (
	"bytes"
	"mime"
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
)

// maxDeclaration bounds the part of HTML or XML that is searched for its
// charset, in bytes.
const maxDeclaration = 1024

var (
	utf8Mark       = []byte("\xef\xbb\xbf")
	htmlCharset    = regexp.MustCompile(`(?i)<meta[^>]{0,200}?charset\s*=\s*["']?\s*([a-z0-9_:.-]+)`)
	xmlDeclaration = regexp.MustCompile(`^<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9_:.-]+)["']`)
)

// decodeText converts text in another charset to UTF-8 and removes a byte order
// mark. It returns anything else unchanged.
func decodeText(header http.Header, body []byte) []byte {
	if e := header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return body
	}
	if text, marked := bytes.CutPrefix(body, utf8Mark); marked {
		return text
	}
	from := charset(header, body)
	if from == nil {
		return body
	}
	text, err := from.NewDecoder().Bytes(body)
	if err != nil {
		return body
	}
	return text
}

// charset returns the encoding of a text by its byte order mark, its
// Content-Type or its own declaration; nil if it is UTF-8 or unknown. Valid
// UTF-8 beyond ASCII is UTF-8, whatever is declared: text in a single-byte
// charset is hardly ever valid UTF-8.
func charset(header http.Header, body []byte) encoding.Encoding {
	kind, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		kind = ""
	}
	if kind != "" && !isText(kind) && (params["charset"] == "" || strings.HasPrefix(kind, "image/")) {
		return nil
	}
	if e := wide(kind, params["charset"], body); e != nil {
		return e
	}
	if utf8.Valid(body) && !ascii(body) {
		return nil
	}
	name := params["charset"]
	if name == "" {
		name = declared(kind, body)
	}
	e, err := htmlindex.Get(name)
	if err != nil || e == unicode.UTF8 {
		return nil
	}
	return e
}

// wide returns UTF-16 in the byte order that the mark shows, or that the first
// character of JSON shows, which is ASCII.
func wide(kind, name string, body []byte) encoding.Encoding {
	name = strings.ToLower(name)
	isJSON := kind == "application/json" || strings.HasSuffix(kind, "+json")
	switch {
	case len(body) < 2:
		return nil
	case bytes.HasPrefix(body, []byte{0xff, 0xfe}), bytes.HasPrefix(body, []byte{0xfe, 0xff}):
		return unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM)
	case isJSON && body[0] == 0 && startsJSON(body[1]), name == "utf-16be":
		return unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	case isJSON && startsJSON(body[0]) && body[1] == 0, strings.HasPrefix(name, "utf-16"):
		return unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	}
	return nil
}

func startsJSON(c byte) bool { return bytes.IndexByte([]byte(`{["-0123456789tfn`), c) >= 0 }

// declared returns the charset that HTML or XML text names. The default of HTML
// is windows-1252.
func declared(kind string, body []byte) string {
	head := body[:min(len(body), maxDeclaration)]
	if m := xmlDeclaration.FindSubmatch(head); m != nil {
		return string(m[1])
	}
	if kind != "text/html" && kind != "application/xhtml+xml" {
		return ""
	}
	if m := htmlCharset.FindSubmatch(head); m != nil {
		return string(m[1])
	}
	return "windows-1252"
}

func ascii(body []byte) bool {
	for _, c := range body {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
