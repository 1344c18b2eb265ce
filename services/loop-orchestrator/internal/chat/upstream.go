package chat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"windlass.dev/windlass/pkg/registry"
)

const (
	// maxAnswer bounds what is read of an upstream's answer.
	maxAnswer = 32 << 20
	// maxError bounds what is read and shown of an upstream's error.
	maxError = 4 << 10
	// maxRetryAfter clamps what an upstream may ask to wait.
	maxRetryAfter = 24 * time.Hour
)

// CallError is a model call that failed.
type CallError struct {
	Code       string
	Message    string // for the client; holds no credential
	HTTPStatus int    // 0: no answer came
	Retriable  bool
	RetryAfter time.Duration
	// Own is the error in the upstream's own words, as OpenAI writes one: of a 4xx that Post got.
	Own json.RawMessage
}

func (e *CallError) Error() string {
	return fmt.Sprintf("the model call failed (%s, HTTP %d): %s", e.Code, e.HTTPStatus, e.Message)
}

// Upstream calls one model server's API. Safe for concurrent use.
type Upstream struct {
	Client *http.Client // without a timeout of its own: the context ends a call
}

// Headers are sent with a call.
type Headers struct {
	IdempotencyKey string // the same for every attempt of the turn
	Traceparent    string
}

// Complete makes one chat completion. A *CallError says how it failed; when ctx ended, its cause is returned instead.
func (u Upstream) Complete(ctx context.Context, at registry.Upstream, body []byte, h Headers) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.URL+"/chat/completions", bytes.NewReader(body))
	if err != nil {
		return Answer{}, &CallError{Code: "server_error", Message: "The model's upstream URL is not valid."}
	}
	secret, err := at.Credential.Resolve()
	if err != nil {
		return Answer{}, &CallError{Code: "server_error", Message: "The model's credential is not available.", Retriable: true}
	}
	if secret != "" {
		req.Header.Set("Authorization", "Bearer "+secret)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Idempotency-Key", h.IdempotencyKey)
	if h.Traceparent != "" {
		req.Header.Set("Traceparent", h.Traceparent)
	}
	resp, err := u.Client.Do(req)
	if err != nil {
		return Answer{}, failed(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return Answer{}, refused(resp, secret)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return Answer{}, failed(ctx, err)
	}
	if len(b) > maxAnswer {
		return Answer{}, &CallError{Code: "server_error", Message: "The upstream's answer is too large.", HTTPStatus: resp.StatusCode}
	}
	a, err := Decode(b)
	if err != nil {
		return Answer{}, &CallError{Code: "server_error", Message: err.Error(), HTTPStatus: resp.StatusCode, Retriable: true}
	}
	return a, nil
}

// ErrCallTimeout is the cause of a context that ended a call which took longer than the model's timeout.
var ErrCallTimeout = errors.New("the model call took longer than its timeout")

// failed tells a call that ended with its context from one that the network ended.
func failed(ctx context.Context, err error) error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, ErrCallTimeout):
		return &CallError{Code: "timeout", Message: "The upstream did not answer in time.", Retriable: true}
	case cause != nil:
		return cause
	}
	message := "The upstream could not be reached."
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		message = "The upstream broke off its answer."
	}
	return &CallError{Code: "connection_error", Message: message, Retriable: true}
}

// errorCode is what an upstream's code has to look like to be passed on: it becomes the response's, and a label in the row.
var errorCode = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// refused reads an error answer. The credential stays out of the message: upstreams like to quote it.
func refused(resp *http.Response, secret string) *CallError {
	status := resp.StatusCode
	e := &CallError{
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
	var envelope struct {
		Error struct {
			Message string `json:"message"`
			Code    any    `json:"code"`
		} `json:"error"`
	}
	b, _ := io.ReadAll(io.LimitReader(resp.Body, maxError)) // an excerpt is enough, none is no reason to fail otherwise
	e.Message = "The upstream answered HTTP " + strconv.Itoa(status) + "."
	if json.Unmarshal(b, &envelope) == nil && envelope.Error.Message != "" {
		e.Message = envelope.Error.Message
		if secret != "" {
			e.Message = strings.ReplaceAll(e.Message, secret, "[redacted]")
		}
		if code, ok := envelope.Error.Code.(string); ok && errorCode.MatchString(code) && !e.Retriable {
			e.Code = code
		}
	}
	return e
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
