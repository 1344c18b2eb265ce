// Package upstream calls model servers. It knows HTTP and how servers fail; what is said is a dialect's.
package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

const (
	// maxAnswer bounds what is read of an upstream's answer.
	maxAnswer = 32 << 20
	// maxStream bounds what is read of an answer that comes in pieces, each with an envelope of some hundred bytes.
	maxStream = 256 << 20
	// maxError bounds what is read and shown of an upstream's error.
	maxError = 16 << 10
	// maxRetryAfter clamps what an upstream may ask to wait.
	maxRetryAfter = 24 * time.Hour
)

// Client calls model servers. Safe for concurrent use.
type Client struct {
	HTTP *http.Client // without a timeout of its own: the context ends a call
}

// Complete makes one model call with an encoded body. With listen the answer is asked for piece by piece, and heard as it comes. A
// *model.CallError says how the call failed; when ctx ended, its cause is returned instead.
func (u Client) Complete(
	ctx context.Context, at registry.Upstream, d model.Dialect, body []byte, h Headers, listen model.Listen,
) (model.Answer, error) {
	accept := "application/json"
	if listen != nil {
		accept = "text/event-stream"
	}
	resp, secret, err := u.send(ctx, at, d.Path(), body, h, accept)
	if err != nil {
		return model.Answer{}, err
	}
	defer resp.Body.Close()
	if media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); listen != nil && media != "application/json" {
		return stream(ctx, resp, d.Stream(listen), secret)
	}
	return whole(ctx, resp, d, secret)
}

// whole reads an answer in one piece. A listener hears it at its end, by what the record tells.
func whole(ctx context.Context, resp *http.Response, d model.Dialect, secret string) (model.Answer, error) {
	b, err := readAll(ctx, resp)
	if err != nil {
		return model.Answer{}, err
	}
	a, err := d.Decode(b)
	if err != nil {
		return model.Answer{}, unread(resp, err, secret)
	}
	return a, nil
}

// stream reads an answer piece by piece.
func stream(ctx context.Context, resp *http.Response, s model.Stream, secret string) (model.Answer, error) {
	done, err := events(ctx, resp, secret, s.Event)
	if err != nil {
		return model.Answer{}, err
	}
	if done {
		s.Done()
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

// events has the data of each event heard. done: the upstream said that there is no more. An error of hear ends the reading.
func events(ctx context.Context, resp *http.Response, secret string, hear func(data []byte) error) (done bool, err error) {
	limited := &io.LimitedReader{R: resp.Body, N: maxStream}
	all := newSSEReader(limited)
	for {
		data, err := all.next()
		switch {
		case limited.N <= 0 && err != nil, errors.Is(err, bufio.ErrTooLong):
			return false, tooLarge(resp)
		case errors.Is(err, io.EOF):
			return false, nil
		case err != nil:
			return false, failed(ctx, err)
		case string(data) == "[DONE]":
			return true, nil
		}
		if err := hear(data); err != nil {
			return false, unread(resp, err, secret)
		}
	}
}

func tooLarge(resp *http.Response) error {
	return &model.CallError{Code: "server_error", Message: "The upstream's answer is too large.", HTTPStatus: resp.StatusCode}
}

// codeOf is the code of an error that has none.
func codeOf(retriable bool) string {
	if retriable {
		return "server_error"
	}
	return "invalid_prompt"
}

// unread is an answer that is no good, or that told of an error itself.
func unread(resp *http.Response, err error, secret string) error {
	var told *model.CallError
	if errors.As(err, &told) {
		told.Message = redact(told.Message, secret)
		if len(told.Message) > maxError {
			told.Message = strings.ToValidUTF8(told.Message[:maxError], "")
		}
		if told.Code = redact(told.Code, secret); !errorCode.MatchString(told.Code) {
			told.Code = codeOf(told.Retriable)
		}
		return told
	}
	return &model.CallError{Code: "server_error", Message: err.Error(), HTTPStatus: resp.StatusCode, Retriable: true}
}
