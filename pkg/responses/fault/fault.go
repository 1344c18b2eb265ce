// Package fault holds the errors of the Responses API as clients see them: a
// status and the envelope {"error":{"message","type","param","code"}}, in the
// words of OpenAI's API so that unmodified SDKs map them to their own errors.
//
// A fault holds no internal text: its message is written for the client. The
// package does not log and knows no HTTP.
package fault

import (
	"net/http"
	"time"

	"windlass.dev/windlass/pkg/responses/internal/raw"
)

// Error is one API error. Param and Code are null on the wire if empty. A
// RetryAfter that is not zero is for the headers Retry-After and
// Retry-After-Ms. Functions that return *Error return nil for success: compare
// before converting it to the interface error.
type Error struct {
	Status     int
	Message    string
	Type       string
	Param      string
	Code       string
	RetryAfter time.Duration
}

// Error returns the message, for logs and for errors.As.
func (e *Error) Error() string { return e.Message }

// JSON returns the envelope.
func (e *Error) JSON() []byte {
	b := append([]byte(nil), `{"error":`...)
	b = e.AppendJSON(b)
	return append(b, '}')
}

// MarshalJSON returns the envelope, as JSON does.
func (e *Error) MarshalJSON() ([]byte, error) { return e.JSON(), nil }

// AppendJSON appends the inner object without the envelope: the form that
// error events of streams carry.
func (e *Error) AppendJSON(b []byte) []byte {
	b = append(b, `{"message":`...)
	b = raw.AppendText(b, e.Message)
	b = append(b, `,"type":`...)
	b = raw.AppendText(b, e.Type)
	b = append(b, `,"param":`...)
	b = raw.AppendTextOrNull(b, e.Param)
	b = append(b, `,"code":`...)
	b = raw.AppendTextOrNull(b, e.Code)
	return append(b, '}')
}

const invalid = "invalid_request_error"

// Invalid refuses a request: 400. param is the path of the field at fault, like
// input[0].content[1].text; param and code may be empty.
func Invalid(param, code, message string) *Error {
	return &Error{Status: http.StatusBadRequest, Type: invalid, Param: param, Code: code, Message: message}
}

// NotFound refuses an id that is unknown or of another tenant with the same
// words: 404.
func NotFound(message string) *Error {
	return &Error{Status: http.StatusNotFound, Type: invalid, Message: message}
}

// Internal reports an internal error without its cause: 500.
func Internal() *Error {
	return &Error{
		Status: http.StatusInternalServerError, Type: "server_error", Code: "server_error",
		Message: "The server had an error while processing your request. Sorry about that!",
	}
}

// RateLimited refuses a request beyond a limit of Windlass: 429.
func RateLimited(message string, retryAfter time.Duration) *Error {
	return &Error{
		Status: http.StatusTooManyRequests, Type: "too_many_requests", Code: "rate_limit_exceeded",
		Message: message, RetryAfter: retryAfter,
	}
}

// Unavailable refuses a request while a dependency is unavailable: 503.
func Unavailable(retryAfter time.Duration) *Error {
	return &Error{
		Status: http.StatusServiceUnavailable, Type: "server_error", Code: "service_unavailable",
		Message: "The service is temporarily unavailable. Please retry your request.", RetryAfter: retryAfter,
	}
}
