package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// Chunks is Post for an answer that comes chunk by chunk: each is heard as it comes. done tells whether the upstream said that it
// was the last. hear's error ends the call as an answer that cannot be understood; a chunk that tells of an error ends it as an
// answer with that status would have.
func (u Client) Chunks(
	ctx context.Context, at registry.Upstream, path string, body []byte, h Headers, hear func(data []byte) error,
) (done bool, err error) {
	resp, secret, err := u.send(ctx, at, path, body, h, "text/event-stream")
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); media != "text/event-stream" {
		b, err := readAll(ctx, resp)
		if err == nil {
			err = toldError(b, secret)
		}
		if err == nil {
			err = unread(resp, fmt.Errorf("%w: it is no stream", model.ErrMalformed), secret)
		}
		return false, err
	}
	done, err = events(ctx, resp, secret, func(data []byte) error {
		if told := toldError(data, secret); told != nil {
			return told
		}
		return hear(data)
	})
	if err == nil && !done && ctx.Err() != nil {
		err = failed(ctx, ctx.Err())
	}
	return done, err
}

// toldError is the failure that a text tells of which came with status 200; nil if it tells of none. A code that is a status is
// believed.
func toldError(data []byte, secret string) error {
	if !bytes.Contains(data, []byte(`"error"`)) {
		return nil
	}
	var told struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(data, &told) != nil || len(told.Error) == 0 || string(told.Error) == "null" {
		return nil
	}
	var code struct {
		Code json.Number `json:"code"`
	}
	status := http.StatusInternalServerError
	if json.Unmarshal(told.Error, &code) == nil {
		if n, err := code.Code.Int64(); err == nil && n >= 400 && n <= 599 {
			status = int(n)
		}
	}
	return refused(&http.Response{StatusCode: status, Body: io.NopCloser(bytes.NewReader(data))}, secret)
}
