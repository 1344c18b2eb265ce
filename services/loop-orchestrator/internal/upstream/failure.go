package upstream

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// ErrCallTimeout is the cause of a context that ended a call which took longer than the model's timeout.
var ErrCallTimeout = errors.New("the model call took longer than its timeout")

// failed tells a call that ended with its context from one that the network ended.
func failed(ctx context.Context, err error) error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, ErrCallTimeout):
		return &model.CallError{Code: "timeout", Message: "The upstream did not answer in time.", Retriable: true}
	case cause != nil:
		return cause
	}
	message := "The upstream could not be reached."
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		message = "The upstream broke off its answer."
	}
	return &model.CallError{Code: "connection_error", Message: message, Retriable: true}
}

// errorCode is what an upstream's code has to look like to be passed on: it becomes the response's, and a label in the row. A number
// says nothing that the status does not.
var errorCode = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,63}$`)

// refused reads an error answer. The credential stays out of it: upstreams like to quote it.
func refused(resp *http.Response, secret string) *model.CallError {
	status := resp.StatusCode
	e := &model.CallError{
		HTTPStatus: status,
		Retriable:  status == http.StatusRequestTimeout || status == http.StatusTooManyRequests || status >= 500,
		RetryAfter: retryAfter(resp.Header.Get("Retry-After"), time.Now()),
		Code:       "server_error",
	}
	switch {
	case status == http.StatusTooManyRequests:
		e.Code = "rate_limit_exceeded"
	case status == http.StatusRequestTimeout:
		e.Code = "timeout"
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		e.Message = "The upstream refused the credential configured for this model."
		return e
	case status < 500:
		e.Code = "invalid_prompt"
	}
	b, _ := io.ReadAll(io.LimitReader(resp.Body, maxError)) // an excerpt is enough, none is no reason to fail otherwise
	own := readOwn(b, secret)
	own.Message = cmp.Or(own.Message, "The upstream answered HTTP "+strconv.Itoa(status)+".")
	own.Type = cmp.Or(own.Type, "invalid_request_error")
	e.Message = own.Message
	if errorCode.MatchString(own.Code) && !e.Retriable {
		e.Code = own.Code
	}
	if status >= 400 && status < 500 {
		e.Own = own.AppendJSON(nil)
	}
	return e
}

// redact takes a credential out of what an upstream said.
func redact(message, secret string) string {
	if secret == "" {
		return message
	}
	return strings.ReplaceAll(message, secret, "[redacted]")
}

// retryAfter reads seconds or an HTTP date; anything else, and the past, is no wait.
func retryAfter(value string, now time.Time) time.Duration {
	if value == "" {
		return 0
	}
	if n, err := strconv.ParseFloat(value, 64); err == nil && n >= 0 {
		return min(time.Duration(min(n, maxRetryAfter.Seconds())*float64(time.Second)), maxRetryAfter)
	}
	if at, err := http.ParseTime(value); err == nil && at.After(now) {
		return min(at.Sub(now), maxRetryAfter)
	}
	return 0
}
