// Package apierror reads why a model server refused a request or failed.
// Servers report errors in many shapes: OpenAI's envelope, lists of envelopes,
// FastAPI's detail, RFC 9457 problems, plain text, HTML pages, and JSON inside
// of text (TestRead). An unknown shape yields an excerpt of the body, so that
// the upstream's own text always reaches the client.
//
// Rejected and Reported decide what a failure means: its code, whether another
// attempt can succeed, and how long to wait (TestRejected, TestWaits). All
// functions are pure.
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
	// maxExcerpt bounds an excerpt of a body of unknown shape, in characters.
	maxExcerpt = 500
	// maxDepth bounds how deep a body is searched.
	maxDepth = 8
	// maxJoined bounds how many messages of a list are joined.
	maxJoined = 8
)

// Details is what an upstream says about an error. A field is empty if absent.
type Details struct {
	Message string
	Type    string
	Param   string
	Code    string
	// Status is the HTTP status that the body names, 400 to 599.
	Status int
	// Wait is how long to wait before the next attempt.
	Wait time.Duration
	// Excerpt reports that Message is an excerpt of a body of unknown shape.
	Excerpt bool
	// ModelFailed reports that the server could not parse the output of the
	// model: the request is correct.
	ModelFailed bool
}

// Read reads the body of an error.
func Read(body []byte) Details {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
	if len(body) == 0 || string(body) == "null" {
		return Details{}
	}
	if data, ok := firstEventData(body); ok {
		body = data
	}
	v, ok := parseValue(body)
	if !ok {
		message := excerpt(plainText(string(body)), 4*maxExcerpt)
		return Details{Message: message, Excerpt: true, Wait: waitInText(string(body))}
	}
	w := findDetails(v, 0)
	if w.Message == "" && !isBlank(v) {
		w.Excerpt = true
		w.Message = excerpt(string(body), maxExcerpt)
	}
	w.Message = clip(w.Message)
	w.Wait = max(w.Wait, waitInText(w.Message))
	return w
}

// Redact removes a credential: upstreams often quote it.
func (w Details) Redact(secret string) Details {
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

// firstEventData returns the data of the first event of a body of events.
func firstEventData(body []byte) ([]byte, bool) {
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

// parseValue reads the first JSON value of a body that begins with an object, a
// list or a string.
func parseValue(body []byte) (v any, ok bool) {
	if len(body) == 0 || !bytes.ContainsRune([]byte(`{["`), rune(body[0])) {
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	return v, d.Decode(&v) == nil
}

func isBlank(v any) bool {
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

func findDetails(v any, depth int) Details {
	if depth > maxDepth {
		return Details{}
	}
	switch v := v.(type) {
	case string:
		return findInText(strings.TrimSpace(v), depth)
	case []any:
		return findInList(v, depth)
	case map[string]any:
		return findInObject(lowerNames(v), depth)
	case json.Number:
		return Details{Code: v.String(), Status: parseStatus(v)}
	}
	return Details{}
}

// findInText reads a message. Some servers put the JSON of another server's
// error there.
func findInText(s string, depth int) Details {
	if strings.HasPrefix(s, "{") || strings.HasPrefix(s, "[") {
		if v, ok := parseValue([]byte(s)); ok {
			if w := findDetails(v, depth+1); w.Message != "" {
				return w
			}
		}
	}
	return Details{Message: plainText(s)}
}

func findInList(list []any, depth int) Details {
	var w Details
	var all []string
	for _, v := range list {
		one := findDetails(v, depth+1)
		if one.Message != "" && len(all) < maxJoined {
			all = append(all, one.Message)
		}
		w = w.or(one)
	}
	w.Message = strings.Join(all, "; ")
	return w
}

// or fills the empty fields of w from v.
func (w Details) or(v Details) Details {
	w.Message = cmp.Or(w.Message, v.Message)
	w.Type, w.Param, w.Code = cmp.Or(w.Type, v.Type), cmp.Or(w.Param, v.Param), cmp.Or(w.Code, v.Code)
	w.Status, w.Wait = cmp.Or(w.Status, v.Status), max(w.Wait, v.Wait)
	w.ModelFailed = w.ModelFailed || v.ModelFailed
	return w
}
