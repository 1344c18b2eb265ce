// Package upstream calls model servers. It knows HTTP and how servers fail; what is said is a dialect's.
package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/openai/openai-go/v3/packages/ssestream"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

const (
	// maxAnswer bounds what is read of an upstream's answer.
	maxAnswer = 32 << 20
	// maxStream bounds what is read of an answer that comes in pieces, each with an envelope of some hundred bytes.
	maxStream = 256 << 20
	// maxError bounds what is read and shown of an upstream's error.
	maxError = 4 << 10
	// maxRetryAfter clamps what an upstream may ask to wait.
	maxRetryAfter = 24 * time.Hour
)

// Client calls model servers. Safe for concurrent use.
type Client struct {
	HTTP *http.Client // without a timeout of its own: the context ends a call
}

// Headers are sent with a call.
type Headers struct {
	IdempotencyKey string // the same for every attempt of the turn
	Traceparent    string
}

// Complete makes one model call with an encoded body. With listen the answer is asked for piece by piece, and heard as it comes. A
// *model.CallError says how the call failed; when ctx ended, its cause is returned instead.
func (u Client) Complete(
	ctx context.Context, at registry.Upstream, d model.Dialect, body []byte, h Headers, listen model.Listen,
) (model.Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.URL+d.Path(), bytes.NewReader(body))
	if err != nil {
		return model.Answer{}, &model.CallError{Code: "server_error", Message: "The model's upstream URL is not valid."}
	}
	secret, err := at.Credential.Resolve()
	if err != nil {
		return model.Answer{}, &model.CallError{
			Code: "server_error", Message: "The model's credential is not available.", Retriable: true,
		}
	}
	h.set(req.Header, secret)
	if listen != nil {
		req.Header.Set("Accept", "text/event-stream")
	}
	resp, err := u.HTTP.Do(req)
	if err != nil {
		return model.Answer{}, failed(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return model.Answer{}, refused(resp, secret)
	}
	if media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); listen != nil && media != "application/json" {
		return stream(ctx, resp, d.Stream(listen), secret)
	}
	return whole(ctx, resp, d)
}

func (h Headers) set(to http.Header, secret string) {
	if secret != "" {
		to.Set("Authorization", "Bearer "+secret)
	}
	to.Set("Content-Type", "application/json")
	to.Set("Accept", "application/json")
	to.Set("Idempotency-Key", h.IdempotencyKey)
	if h.Traceparent != "" {
		to.Set("Traceparent", h.Traceparent)
	}
}

// whole reads an answer in one piece. A listener hears it at its end, by what the record tells.
func whole(ctx context.Context, resp *http.Response, d model.Dialect) (model.Answer, error) {
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return model.Answer{}, failed(ctx, err)
	}
	if len(b) > maxAnswer {
		return model.Answer{}, tooLarge(resp)
	}
	a, err := d.Decode(b)
	if err != nil {
		return model.Answer{}, unread(resp, err, "")
	}
	return a, nil
}

// stream reads an answer piece by piece.
func stream(ctx context.Context, resp *http.Response, s model.Stream, secret string) (model.Answer, error) {
	limited := &io.LimitedReader{R: resp.Body, N: maxStream}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{limited, resp.Body}
	events := ssestream.NewDecoder(resp)
	for events.Next() {
		data := bytes.TrimSuffix(events.Event().Data, []byte("\n"))
		if string(data) == "[DONE]" {
			break
		}
		if err := s.Event(data); err != nil {
			return model.Answer{}, unread(resp, err, secret)
		}
	}
	if limited.N <= 0 {
		return model.Answer{}, tooLarge(resp)
	}
	if err := events.Err(); err != nil {
		return model.Answer{}, failed(ctx, err)
	}
	a, err := s.Answer()
	if err != nil && ctx.Err() != nil {
		return model.Answer{}, failed(ctx, err)
	}
	if err != nil {
		return model.Answer{}, unread(resp, err, secret)
	}
	return a, nil
}

func tooLarge(resp *http.Response) error {
	return &model.CallError{Code: "server_error", Message: "The upstream's answer is too large.", HTTPStatus: resp.StatusCode}
}

// unread is an answer that is no good, or that told of an error itself.
func unread(resp *http.Response, err error, secret string) error {
	var told *model.CallError
	if errors.As(err, &told) {
		told.Message = redact(told.Message, secret)
		return told
	}
	return &model.CallError{Code: "server_error", Message: err.Error(), HTTPStatus: resp.StatusCode, Retriable: true}
}
