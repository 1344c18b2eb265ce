// Package apierror reads why a model server refused a request or failed.
// Servers report errors in many shapes: OpenAI's envelope, lists of envelopes,
// FastAPI's detail, RFC 9457 problems, plain text, HTML pages, and JSON inside
// of text. Read takes any of them; an unknown shape yields an excerpt of what
// was sent, so that the upstream's own words always reach the client.
//
// Refused and Reported decide what a failure means: its code, whether another
// attempt can succeed, and how long to wait. Both are pure and safe for
// concurrent use.
package apierror

import (
	"bytes"
	"cmp"
	"encoding/json"
	"strings"
	"time"
)

const (
	// maxMessage bounds a message in bytes.
	maxMessage = 16 << 10
	// maxExcerpt bounds an excerpt of a body that has no known shape, in
	// characters.
	maxExcerpt = 500
	// maxDepth bounds how deep words are looked for.
	maxDepth = 8
	// maxJoined bounds how many messages of a list are joined.
	maxJoined = 8
)

// Words is what an upstream says about an error. A field is empty if absent.
type Words struct {
	Message string
	Type    string
	Param   string
	Code    string
	// Status is the HTTP status that the body names, 400 to 599.
	Status int
	// Wait is how long the body asks to wait before the next attempt.
	Wait time.Duration
	// Excerpt says that Message is an excerpt of a body of unknown shape.
	Excerpt bool
	// ModelFailed says that the model produced what the server could not parse:
	// the request is not at fault.
	ModelFailed bool
}

// Read finds the words of an error in a body.
func Read(body []byte) Words {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
	if len(body) == 0 || string(body) == "null" {
		return Words{}
	}
	if data, ok := firstData(body); ok {
		body = data
	}
	v, ok := parse(body)
	if !ok {
		return Words{Message: excerpt(text(string(body)), 4*maxExcerpt), Excerpt: true, Wait: waitIn(string(body))}
	}
	w := find(v, 0)
	if w.Message == "" && !blank(v) {
		w.Excerpt = true
		w.Message = excerpt(string(body), maxExcerpt)
	}
	w.Message = clip(w.Message)
	w.Wait = max(w.Wait, waitIn(w.Message))
	return w
}

// Redact removes a credential from the words: upstreams like to quote it.
func (w Words) Redact(secret string) Words {
	for _, s := range []*string{&w.Message, &w.Type, &w.Param, &w.Code} {
		*s = Redact(*s, secret)
	}
	return w
}

// Redact replaces a credential in a text.
func Redact(text, secret string) string {
	if secret == "" {
		return text
	}
	return strings.ReplaceAll(text, secret, "[redacted]")
}

// firstData is the data of the first event of a body that is a stream of
// events.
func firstData(body []byte) ([]byte, bool) {
	if !bytes.HasPrefix(body, []byte("data:")) && !bytes.HasPrefix(body, []byte("event:")) {
		return nil, false
	}
	for line := range bytes.Lines(body) {
		if data, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			return bytes.TrimSpace(data), true
		}
	}
	return nil, false
}

// parse reads the first JSON value of a body that begins like an object, a list
// or a text.
func parse(body []byte) (v any, ok bool) {
	if len(body) == 0 || !bytes.ContainsRune([]byte(`{["`), rune(body[0])) {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	return v, d.Decode(&v) == nil
}

func blank(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	case string:
		return v == ""
	}
	return v == nil
}

func find(v any, depth int) Words {
	if depth > maxDepth {
		return Words{}
	}
	switch v := v.(type) {
	case string:
		return findInText(strings.TrimSpace(v), depth)
	case []any:
		return findInList(v, depth)
	case map[string]any:
		return findInObject(lowered(v), depth)
	case json.Number:
		return Words{Code: v.String(), Status: statusIn(v)}
	}
	return Words{}
}

// findInText reads a message. Some servers put the JSON of another server's
// error there.
func findInText(s string, depth int) Words {
	if strings.HasPrefix(s, "{") || strings.HasPrefix(s, "[") {
		if v, ok := parse([]byte(s)); ok {
			if w := find(v, depth+1); w.Message != "" {
				return w
			}
		}
	}
	return Words{Message: text(s)}
}

func findInList(list []any, depth int) Words {
	var w Words
	var all []string
	for _, v := range list {
		one := find(v, depth+1)
		if one.Message != "" && len(all) < maxJoined {
			all = append(all, one.Message)
		}
		w = w.or(one)
	}
	w.Message = strings.Join(all, "; ")
	return w
}

// or fills what w leaves out.
func (w Words) or(v Words) Words {
	w.Message = cmp.Or(w.Message, v.Message)
	w.Type, w.Param, w.Code = cmp.Or(w.Type, v.Type), cmp.Or(w.Param, v.Param), cmp.Or(w.Code, v.Code)
	w.Status, w.Wait = cmp.Or(w.Status, v.Status), max(w.Wait, v.Wait)
	w.ModelFailed = w.ModelFailed || v.ModelFailed
	return w
}
