package httptool

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// Output is the answer of a tool, fit for a model.
type Output struct {
	// Text is valid UTF-8 without NUL. If it is cut, it ends with a line that
	// says so, in addition to Call.MaxOutputBytes.
	Text []byte
	// Size is the decompressed size of the answer in bytes, as far as it was
	// read.
	Size int
	// Truncated reports that the answer was longer than Text.
	Truncated bool
}

// newOutput returns the output of an answer. size > limit means that the answer
// is longer than what was read.
func newOutput(header http.Header, body []byte, size, limit int) Output {
	over := size > limit
	if note, is := binaryNote(header, body, over, limit); is {
		return Output{Text: []byte(note), Size: size, Truncated: over}
	}
	text, cut := fit(body, limit)
	out := Output{Text: text, Size: size, Truncated: over || cut}
	if out.Truncated {
		out.Text = fmt.Appendf(out.Text, "\n[output cut after %d bytes]", len(out.Text))
	}
	return out
}

// fit returns at most limit bytes of text, cut between two characters.
func fit(body []byte, limit int) (text []byte, cut bool) {
	whole := wholeRunes(body, limit)
	cut = len(whole) < len(body)
	text = bytes.ToValidUTF8(whole, []byte("\uFFFD"))
	text = bytes.ReplaceAll(text, []byte{0}, []byte("\uFFFD"))
	if len(text) > limit { // a replacement is longer than what it replaces
		return wholeRunes(text, limit), true
	}
	return text, cut
}

// wholeRunes returns the start of a text, at most limit bytes, without the
// first bytes of a character that the limit cuts.
func wholeRunes(text []byte, limit int) []byte {
	if len(text) <= limit {
		return text
	}
	end := limit
	for range utf8.UTFMax - 1 {
		if end == 0 || utf8.RuneStart(text[end]) {
			return text[:end]
		}
		end--
	}
	if utf8.RuneStart(text[end]) {
		return text[:end]
	}
	return text[:limit] // no UTF-8 here
}

// binaryNote returns what the model sees in place of bytes that are no text.
func binaryNote(header http.Header, body []byte, over bool, limit int) (string, bool) {
	encoding := header.Get("Content-Encoding") // net/http has removed the one it has decoded
	if utf8.Valid(wholeRunes(body, limit)) && !bytes.ContainsRune(body, 0) {
		return "", false
	}
	kind := mediaType(header, body)
	encoded := encoding != "" && !strings.EqualFold(encoding, "identity")
	if !encoded && isText(kind) {
		return "", false
	}
	size := fmt.Sprintf("%d bytes", len(body))
	if over {
		size = fmt.Sprintf("more than %d bytes", limit)
	}
	if encoded {
		return fmt.Sprintf("[output in an encoding that is not understood, %s, not shown]", size), true
	}
	return fmt.Sprintf("[binary output of type %s, %s, not shown]", kind, size), true
}

// mediaType returns the declared type of an answer, or else its detected one,
// in a form that is safe to print.
func mediaType(header http.Header, body []byte) string {
	declared := header.Get("Content-Type")
	if declared == "" {
		declared = http.DetectContentType(body)
	}
	kind, _, err := mime.ParseMediaType(declared)
	if err != nil || len(kind) > 100 || !strings.Contains(kind, "/") {
		return "application/octet-stream"
	}
	return kind
}

// isText reports whether a media type is text, so that odd bytes in it are
// flaws of the text.
func isText(kind string) bool {
	return strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "+json") || strings.HasSuffix(kind, "+xml") ||
		slices.Contains([]string{
			"application/json", "application/x-ndjson", "application/jsonl", "application/xml",
			"application/javascript",
			"application/yaml", "application/x-yaml", "application/toml", "application/x-www-form-urlencoded",
			"application/graphql",
		}, kind)
}
