package transcript

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode"

	"go.uber.org/zap"
	"windlass.dev/windlass/pkg/run"
)

const (
	// maxLogged bounds the text of an upstream's error in a log line.
	maxLogged = 300
	// quoted is the length from which a piece of an error that is in the
	// request, too, counts as a quotation.
	quoted = 12
	// maxSearched bounds the work of searching a request for quotations. The
	// error of a longer request is logged without its text.
	maxSearched = 2 << 20
)

// LogFields returns the failure as fields of a log line: code, status and
// error. Upstreams quote what they refuse, and logs hold no prompts and
// outputs, so text that the error shares with the request is left out.
func LogFields(f run.Failure, c run.Chain) []zap.Field {
	return []zap.Field{
		zap.String("code", f.Code), zap.Int("status", f.HTTPStatus), zap.String("error", withoutQuotes(f.Message, c)),
	}
}

func withoutQuotes(message string, c run.Chain) string {
	size := len(c.Body)
	for _, s := range c.Steps {
		size += len(s.Output)
	}
	if size > maxSearched {
		return ""
	}
	if len(message) > maxLogged {
		message = strings.ToValidUTF8(message[:maxLogged], "") + "…"
	}
	return oneLine(blank(message, allTexts(c)))
}

// oneLine keeps line ends and escape sequences out of logs.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

// allTexts is every text of the request that a client, a model or a tool wrote.
func allTexts(c run.Chain) []byte {
	var all bytes.Buffer
	var body map[string]any
	if json.Unmarshal(c.Body, &body) == nil {
		for _, field := range []string{"input", "instructions", "messages", "prompt"} {
			collect(&all, body[field])
		}
	}
	for _, s := range c.Steps {
		var output any
		if json.Unmarshal(s.Output, &output) == nil {
			collect(&all, output)
		}
		all.Write(s.Output)
		all.WriteByte('\n')
	}
	return all.Bytes()
}

func collect(into *bytes.Buffer, value any) {
	switch v := value.(type) {
	case string:
		into.WriteString(v)
		into.WriteByte('\n')
	case []any:
		for _, each := range v {
			collect(into, each)
		}
	case map[string]any:
		for _, each := range v {
			collect(into, each)
		}
	}
}

// blank replaces each run of at least quoted bytes that occurs in texts.
func blank(message string, texts []byte) string {
	var out strings.Builder
	for i := 0; i < len(message); {
		n := 0
		for next := quoted; i+next <= len(message) && bytes.Contains(texts, []byte(message[i:i+next])); next++ {
			n = next
		}
		if n == 0 {
			out.WriteByte(message[i])
			i++
			continue
		}
		out.WriteString("[…]")
		i += n
	}
	return strings.ToValidUTF8(out.String(), "")
}
