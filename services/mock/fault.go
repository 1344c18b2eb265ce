package mock

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// anyIndex is the index of a model call: faults match it whatever theirs is.
const anyIndex = -1

func (f Fault) check() error {
	if !slices.ContainsFunc(modes, func(m [2]string) bool { return m[0] == f.Mode }) {
		return fmt.Errorf("plan's fault mode %q is unknown", f.Mode)
	}
	if f.Status != 0 && (f.Status < 200 || f.Status > 599) {
		return fmt.Errorf("plan's fault status is %d, want 200 to 599", f.Status)
	}
	if f.Times < 0 || f.Bytes < -1 {
		return fmt.Errorf("plan's fault has times %d and bytes %d, want 0 or more", f.Times, f.Bytes)
	}
	return nil
}

func (f Fault) covers(round, index int) bool {
	return (f.Round == -1 || f.Round == round) && (index == anyIndex || f.Index == -1 || f.Index == index)
}

// firstFault is the fault that hits an attempt, or nil. Attempt 0 was not
// counted: only faults for all attempts hit it, so that none lasts longer than
// it should.
func firstFault(faults []Fault, round, index, attempt int) *Fault {
	for i := range faults {
		f := &faults[i]
		if f.covers(round, index) && (f.Times == 0 || (attempt > 0 && attempt <= f.Times)) {
			return f
		}
	}
	return nil
}

func (f Fault) status(otherwise int) int {
	if f.Status != 0 {
		return f.Status
	}
	return otherwise
}

func (f Fault) bytes(otherwise int) int {
	if f.Bytes != 0 {
		return f.Bytes
	}
	return otherwise
}

// answer is what a call would get if nothing went wrong, and its empty form.
type answer struct {
	contentType string
	body, empty []byte
}

// length is the Content-Length to send; streams have none.
func (a answer) length() int {
	if a.contentType == streamType {
		return -1
	}
	return len(a.body)
}

// misbehave answers as the fault says. Modes that only change the right reply
// (nul, big) are the caller's.
func (x *exchange) misbehave(f *Fault, right answer) {
	if f.RetryAfter != "" {
		x.w.Header().Set("Retry-After", f.RetryAfter)
	}
	ok := f.status(http.StatusOK)
	switch f.Mode {
	case "":
		x.send(f.plain(right))
	case "hang":
		x.hang()
	case "reset":
		if f.Bytes > 0 {
			x.head(ok, right.contentType, right.length())
			if !x.write(right.body[:min(f.Bytes, len(right.body))]) || !x.flush() {
				return
			}
		}
		x.reset()
	case "truncate":
		x.head(ok, right.contentType, right.length()) // of a stream, only the missing [DONE] tells
		x.write(right.body[:len(right.body)/2])
	case "drip":
		x.drip(ok, f.bytes(1), right)
	case "redirect":
		target := f.Body
		if target == "" {
			target = x.r.URL.Path
		}
		x.w.Header().Set("Location", target)
		x.head(f.status(http.StatusTemporaryRedirect), "", 0)
	case "headers":
		x.manyHeaders(f.bytes(64 << 10))
		x.send(ok, right.contentType, right.body)
	default:
		contentType, body := f.wrong(right)
		x.send(ok, contentType, body)
	}
}

// plain is the reply of a fault that is only a status, or a body told verbatim.
func (f Fault) plain(right answer) (status int, contentType string, body []byte) {
	status = f.status(http.StatusInternalServerError)
	if f.Body == "" {
		return status, jsonType, errorBody(status, fmt.Sprintf("The mock was told to answer %d.", status), "")
	}
	contentType = jsonType
	if status < 300 {
		contentType = right.contentType
	}
	return status, contentType, []byte(f.Body)
}

// wrong is a complete reply with the wrong thing in it.
func (f Fault) wrong(right answer) (contentType string, body []byte) {
	contentType = right.contentType
	switch f.Mode {
	case "malformed":
		body = []byte(`{"id":"mock","choices":[{"message":`)
		if contentType == streamType {
			body = []byte("data: {\"id\":\"mock\",\"choices\":[{\"delta\":\n\ndata: [DONE]\n\n")
		}
	case "empty":
		body = right.empty
	case "html":
		contentType = "text/html; charset=utf-8"
		body = []byte("<!DOCTYPE html><html><head><title>Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>\n")
	case "binary":
		contentType = "application/octet-stream"
		body = make([]byte, max(0, f.bytes(256)))
		for i := range body {
			body[i] = byte(255 - i) // starts with what no UTF-8 text has, and has a NUL
		}
	}
	if f.Body != "" {
		body = []byte(f.Body)
	}
	return contentType, body
}

func (x *exchange) drip(status, perSecond int, right answer) {
	x.head(status, right.contentType, right.length())
	if !x.flush() {
		return
	}
	for i := range right.body {
		if !x.wait(time.Second/time.Duration(max(1, perSecond))) || !x.write(right.body[i:i+1]) || !x.flush() {
			return
		}
	}
}

func (x *exchange) manyHeaders(size int) {
	filler := strings.Repeat("h", 1000)
	for n := 0; n < size; n += len(filler) {
		x.w.Header().Set(fmt.Sprintf("X-Mock-Filler-%d", n/len(filler)), filler)
	}
	for n := range 3 {
		x.w.Header().Add("Set-Cookie", fmt.Sprintf("mock%d=stay-out; Path=/", n))
	}
}

// errorBody is an error as OpenAI's API writes it.
func errorBody(status int, message, param string) []byte {
	type apiError struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	}
	e := apiError{Message: message, Type: "invalid_request_error"}
	if param != "" {
		e.Param = &param
	}
	switch {
	case status == http.StatusTooManyRequests:
		e.Type, e.Code = "requests", new("rate_limit_exceeded")
	case status == http.StatusUnauthorized:
		e.Code = new("invalid_api_key")
	case status >= 500:
		e.Type = "server_error"
	}
	var out bytes.Buffer
	if err := json.NewEncoder(&out).Encode(map[string]apiError{"error": e}); err != nil {
		return []byte(`{"error":{"message":"","type":"server_error","param":null,"code":null}}`)
	}
	return out.Bytes()
}
