package exchange

import (
	"bytes"
	"encoding/json"
	"net/http"
	"sync"
)

// maxRequest is the largest body that is read; a history of tool results may be
// long.
const maxRequest = 64 << 20

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// WithBody reads a request's body into a shared buffer and calls use, which
// must not keep it. If the body cannot be read it answers and returns false.
func WithBody(w http.ResponseWriter, r *http.Request, use func([]byte)) bool {
	buf := buffers.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() < 1<<20 {
			buffers.Put(buf)
		}
	}()
	buf.Reset()
	if _, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, maxRequest)); err != nil {
		http.Error(w, "the body could not be read", http.StatusBadRequest)
		return false
	}
	use(buf.Bytes())
	return true
}

// Answer is an answer without faults.
type Answer struct {
	ContentType string
	Body        []byte
	Empty       []byte // without choices or data
}

// Length returns the Content-Length to send, -1 for a stream.
func (a Answer) Length() int {
	if a.ContentType == Stream {
		return -1
	}
	return len(a.Body)
}

// ErrorBody formats an error as OpenAI's API does.
func ErrorBody(status int, message, param string) []byte {
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
