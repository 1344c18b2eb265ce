package upstream

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// Headers are sent with a call.
type Headers struct {
	IdempotencyKey string // the same for every attempt of the turn
	Traceparent    string
}

func (h Headers) set(to http.Header, secret string) {
	if secret != "" {
		to.Set("Authorization", "Bearer "+secret)
	}
	to.Set("Content-Type", "application/json")
	to.Set("Idempotency-Key", h.IdempotencyKey)
	if h.Traceparent != "" {
		to.Set("Traceparent", h.Traceparent)
	}
}

// Post sends one call to a path below the upstream's base and reads the answer, whatever it is. Errors are as Complete's.
func (u Client) Post(ctx context.Context, at registry.Upstream, path string, body []byte, h Headers) ([]byte, error) {
	resp, _, err := u.send(ctx, at, path, body, h, "application/json")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return readAll(ctx, resp)
}

func readAll(ctx context.Context, resp *http.Response) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, failed(ctx, err)
	}
	if len(b) > maxAnswer {
		return nil, tooLarge(resp)
	}
	return b, nil
}

// send sends a call and returns what was answered with 200, to be closed, and the credential that went with it.
func (u Client) send(
	ctx context.Context, at registry.Upstream, path string, body []byte, h Headers, accept string,
) (resp *http.Response, secret string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, "", &model.CallError{Code: "server_error", Message: "The model's upstream URL is not valid."}
	}
	if secret, err = at.Credential.Resolve(); err != nil {
		return nil, "", &model.CallError{Code: "server_error", Message: "The model's credential is not available.", Retriable: true}
	}
	h.set(req.Header, secret)
	req.Header.Set("Accept", accept)
	if resp, err = u.HTTP.Do(req); err != nil {
		return nil, "", failed(ctx, err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, "", refused(resp, secret)
	}
	return resp, secret, nil
}
