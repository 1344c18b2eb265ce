package upstream

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
	"strings"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// Post sends one call to a path below the upstream's base and reads the answer, whatever it is. Errors are as Complete's; that of
// a 4xx has the upstream's own error with it, unless it is the credential that was refused.
func (u Client) Post(ctx context.Context, at registry.Upstream, path string, body []byte, h Headers) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, &model.CallError{Code: "server_error", Message: "The model's upstream URL is not valid."}
	}
	secret, err := at.Credential.Resolve()
	if err != nil {
		return nil, &model.CallError{Code: "server_error", Message: "The model's credential is not available.", Retriable: true}
	}
	h.set(req.Header, secret)
	resp, err := u.HTTP.Do(req)
	if err != nil {
		return nil, failed(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, refusedInWords(resp, secret)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, failed(ctx, err)
	}
	if len(b) > maxAnswer {
		return nil, &model.CallError{Code: "server_error", Message: "The upstream's answer is too large.", HTTPStatus: resp.StatusCode}
	}
	return b, nil
}

// refusedInWords is refused with the error that the upstream wrote.
func refusedInWords(resp *http.Response, secret string) *model.CallError {
	b, _ := io.ReadAll(io.LimitReader(resp.Body, maxOwnError)) // an excerpt is enough, none is no reason to fail otherwise
	resp.Body = io.NopCloser(bytes.NewReader(b))               // Post closes the one it was
	e := refused(resp, secret)
	switch status := resp.StatusCode; {
	case status < 400 || status >= 500 || status == http.StatusUnauthorized || status == http.StatusForbidden:
	default:
		own := readOwn(b, secret)
		own.Message, own.Type = cmp.Or(own.Message, e.Message), cmp.Or(own.Type, "invalid_request_error")
		e.Message, e.Own = own.Message, own.AppendJSON(nil)
		if secret != "" && strings.Contains(e.Code, secret) {
			e.Code = "invalid_prompt"
		}
	}
	return e
}
