package apierror

import (
	"cmp"
	"encoding/json"
	"strings"
	"time"
)

// The members that servers use, in lower case, preferred names first.
var (
	innerNames   = []string{"error", "errors", "fault"}
	messageNames = []string{
		"message", "msg", "title", "detail", "error_description", "error_message", "errormessage", "error_msg",
		"errormsg", "errmsg",
		"description", "reason", "details", "failure", "faultstring", "err", "info",
	}
	typeNames   = []string{"type", "error_type", "__type", "status"}
	codeNames   = []string{"code", "error_code", "errorcode", "errcode"}
	statusNames = []string{"code", "status", "status_code", "statuscode", "http_status", "error_code"}
)

func lowerNames(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for name, v := range m {
		name = strings.ToLower(name)
		if _, twice := out[name]; !twice || v != nil {
			out[name] = v
		}
	}
	return out
}

// findInObject reads an error object or an envelope around one.
func findInObject(m map[string]any, depth int) Details {
	own := readMembers(m, depth)
	for _, name := range innerNames {
		inner := findDetails(m[name], depth+1)
		if inner == (Details{}) {
			continue
		}
		// {"error": "Bad Request", "message": "…"}: the text is a title.
		if _, title := m[name].(string); title && own.Message != "" && !strings.Contains(own.Message, inner.Message) {
			inner.Message += ": " + own.Message
		} else if title && own.Message != "" {
			inner.Message = own.Message
		}
		return inner.or(own)
	}
	return own
}

// readMembers reads the members of an error object.
func readMembers(m map[string]any, depth int) Details {
	var w Details
	for _, name := range messageNames {
		inner := findDetails(m[name], depth+1)
		if _, number := m[name].(json.Number); number || inner.Message == "" {
			continue
		}
		w = inner
		if name == "title" { // RFC 9457
			w.Message = joinTexts(w.Message, findDetails(m["detail"], depth+1).Message)
		}
		break
	}
	if w.Message != "" {
		w.Message = withLocation(m["loc"], w.Message)
		w.Param = cmp.Or(w.Param, locationOf(m["loc"]))
	}
	w.Message = addProvider(m, w.Message, depth)
	w.Type = cmp.Or(firstWord(m, typeNames), w.Type)
	if w.Type == "error" { // as events are called
		w.Type = ""
	}
	w.Param = cmp.Or(firstWord(m, []string{"param"}), w.Param)
	w.Code = cmp.Or(firstWord(m, codeNames), w.Code)
	for _, name := range statusNames {
		w.Status = cmp.Or(w.Status, parseStatus(m[name]))
	}
	w.Wait = max(w.Wait, findWait(m, depth))
	_, failed := m["failed_generation"]
	w.ModelFailed = w.ModelFailed || failed
	return w
}

// firstWord returns the first of the members that is a string or a number.
func firstWord(m map[string]any, names []string) string {
	for _, name := range names {
		switch v := m[name].(type) {
		case string:
			if v != "" {
				return v
			}
		case json.Number:
			if name != "status" {
				return v.String()
			}
		}
	}
	return ""
}

func parseStatus(v any) int {
	var n json.Number
	switch v := v.(type) {
	case json.Number:
		n = v
	case string:
		n = json.Number(v)
	}
	if i, err := n.Int64(); err == nil && i >= 400 && i <= 599 {
		return int(i)
	}
	return 0
}

// addProvider appends the message of the server behind a router: OpenRouter
// puts that into metadata.raw, and its own message is always the same.
func addProvider(m map[string]any, message string, depth int) string {
	meta, ok := m["metadata"].(map[string]any)
	if !ok {
		return message
	}
	meta = lowerNames(meta)
	raw := findDetails(meta["raw"], depth+1).Message
	if raw == "" {
		return message
	}
	if name, ok := meta["provider_name"].(string); ok && name != "" {
		message = strings.TrimSpace(message + " (" + name + ")")
	}
	return joinTexts(message, raw)
}

func joinTexts(a, b string) string {
	switch {
	case a == "":
		return b
	case b == "" || strings.Contains(a, b):
		return a
	}
	return a + ": " + b
}

// locationOf returns where FastAPI found a fault, without the body around it.
func locationOf(loc any) string {
	list, _ := loc.([]any)
	var names []string
	for _, v := range list {
		switch v := v.(type) {
		case string:
			if v != "body" {
				names = append(names, v)
			}
		case json.Number:
			names = append(names, v.String())
		}
	}
	return strings.Join(names, ".")
}

func withLocation(loc any, message string) string {
	if p := locationOf(loc); p != "" {
		return p + ": " + message
	}
	return message
}

// findWait reads how long to wait from the members that say so.
func findWait(m map[string]any, depth int) time.Duration {
	wait := memberWait(m["retry_after"], time.Second)
	for name, unit := range map[string]time.Duration{
		"retrydelay": time.Second, "retry_after_seconds": time.Second, "retryafter": time.Second,
		"estimated_time": time.Second,
		"retry_after_ms": time.Millisecond,
	} {
		wait = max(wait, memberWait(m[name], unit))
	}
	details, _ := m["details"].([]any) // google.rpc.RetryInfo is one of them
	for _, v := range details {
		if d, ok := v.(map[string]any); ok && depth < maxDepth {
			wait = max(wait, findWait(lowerNames(d), depth+1))
		}
	}
	return wait
}

func memberWait(v any, unit time.Duration) time.Duration {
	switch v := v.(type) {
	case json.Number:
		return ParseWait(v.String(), unit)
	case string:
		return ParseWait(v, unit)
	}
	return 0
}
