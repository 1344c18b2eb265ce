package upstream

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"windlass.dev/windlass/pkg/process/shortage"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/loop-orchestrator/internal/upstream/apierror"
)

// maxHops bounds the redirects that one call follows.
const maxHops = 3

// Headers are sent with a call.
type Headers struct {
	IdempotencyKey string // the same for every attempt of the turn
	Traceparent    string
}

// writeTo sets the headers of a call.
func (h Headers) writeTo(to http.Header, at registry.Upstream, secret string) {
	at.SetHeaders(to, secret)
	to.Set("Content-Type", "application/json")
	// The key without a value is not sent, and lets net/http send the call
	// again on a new connection if the server closed the old one before it read
	// anything.
	to["Idempotency-Key"] = nil
	if at.Effective().IdempotencyKey == registry.On {
		to.Set("Idempotency-Key", h.IdempotencyKey)
	}
	if h.Traceparent != "" {
		to.Set("Traceparent", h.Traceparent)
	}
}

// call is a call that is being sent.
type call struct {
	http   http.RoundTripper // not a client, which would follow redirects its own way
	at     registry.Upstream
	base   *url.URL // address of the upstream
	body   []byte
	header Headers
	accept string
	secret string
}

// send sends a call and returns the answer if its status is a success. The
// caller closes the body.
func (u Client) send(
	ctx context.Context, at registry.Upstream, path string, body []byte, h Headers, streamed bool,
) (*answer, error) {
	text, err := at.Endpoint(path)
	if err != nil {
		return nil, &run.Failure{Code: run.CodeServerError, Message: "The model's upstream URL is not valid."}
	}
	c := call{http: u.HTTP.Transport, at: at, body: body, header: h, accept: "application/json"}
	if c.http == nil {
		c.http = http.DefaultTransport
	}
	if streamed {
		c.accept = "text/event-stream, application/json;q=0.5"
	}
	if c.base, err = url.Parse(text); err != nil {
		return nil, &run.Failure{Code: run.CodeServerError, Message: "The model's upstream URL is not valid."}
	}
	var a *answer
	// Nothing is sent before the process has a connection and the secret.
	err = u.Shortage.Retry(ctx, func(ctx context.Context) (err error) {
		if c.secret, err = resolve(at.Credential); err == nil {
			a, err = c.sendAndFollow(ctx)
		}
		return err
	})
	return a, err
}

// resolve reads the secret of a credential. A file that cannot be read may be
// readable soon; a variable is not set later.
func resolve(c registry.Credential) (string, error) {
	secret, err := c.Resolve()
	switch {
	case err != nil && c.File != "":
		return "", shortage.Secret(err)
	case err != nil:
		return "", &run.Failure{
			Code: run.CodeServerError, Message: "The model's credential is not available.", Retriable: true,
		}
	}
	return secret, nil
}

// sendAndFollow sends the call, and sends it again unchanged if the upstream
// redirects it on its own host. Browsers turn a redirected POST into a GET,
// which would be another request. No other host gets the prompt or the
// credential: the operator configured one server.
func (c *call) sendAndFollow(ctx context.Context) (*answer, error) {
	at := c.base
	for hop := 0; ; hop++ {
		resp, err := c.postTo(ctx, at)
		if lack := shortage.Of(err); lack != nil && context.Cause(ctx) == nil {
			return nil, lack
		}
		if err != nil {
			return nil, callFailure(ctx, err)
		}
		if resp.StatusCode >= 200 && resp.StatusCode < 300 {
			return &answer{resp: resp, secret: c.secret}, nil
		}
		target, why := c.redirectTarget(resp, at, hop)
		if target == nil {
			defer resp.Body.Close()
			return nil, c.newRefusal(resp, at, why)
		}
		_, _ = io.CopyN(io.Discard, resp.Body, maxError) // so that the connection can be used again
		_ = resp.Body.Close()
		at = target
	}
}

func (c *call) postTo(ctx context.Context, at *url.URL) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.String(), bytes.NewReader(c.body))
	if err != nil {
		return nil, fmt.Errorf("build a model call: %w", err)
	}
	c.header.writeTo(req.Header, c.at, c.secret)
	req.Header.Set("Accept", c.accept)
	// Set here, it keeps net/http from decompressing the body: servers name
	// encodings that they do not use, and use encodings that they do not name.
	req.Header.Set("Accept-Encoding", "gzip")
	resp, err := c.http.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("send a model call: %w", err)
	}
	return resp, nil
}

// isOwnHost reports whether an address is on the upstream's server, or on the
// same host by https instead of http.
func (c *call) isOwnHost(at *url.URL) bool {
	if at.Hostname() != c.base.Hostname() {
		return false
	}
	return at.Scheme == c.base.Scheme && portOf(at) == portOf(c.base) || at.Scheme == "https" && c.base.Scheme == "http"
}

func portOf(at *url.URL) string {
	return cmp.Or(at.Port(), map[string]string{"http": "80", "https": "443"}[at.Scheme])
}

// redirectTarget returns where to send the call again, or nil and the reason if
// the answer is no redirect or one that is not followed.
func (c *call) redirectTarget(resp *http.Response, from *url.URL, hop int) (to *url.URL, why string) {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect,
		http.StatusPermanentRedirect:
	default:
		return nil, ""
	}
	location := resp.Header.Get("Location")
	if location == "" {
		return nil, "The upstream redirects without saying where to"
	}
	to, err := from.Parse(location)
	if err != nil || to.Scheme != "http" && to.Scheme != "https" || to.Hostname() == "" {
		return nil, "The upstream redirects to an address that is not valid"
	}
	named := (&url.URL{Scheme: to.Scheme, Host: to.Host, Path: to.Path}).String() // without what may be secret
	switch {
	case from.Scheme == "https" && to.Scheme == "http":
		return nil, "The upstream redirects to " + named + ", which is not encrypted; the redirect was not followed"
	case !c.isOwnHost(to):
		return nil, "The upstream redirects to " + named + ", another host; the redirect was not followed. " +
			"If that is the right address, configure it as the model's upstream"
	case hop >= maxHops:
		return nil, fmt.Sprintf("The upstream redirects to %s, after %d redirects that were followed", named, maxHops)
	}
	to.User, to.Fragment = nil, ""
	return to, ""
}

// newRefusal returns the failure of an answer whose status is no success.
func (c *call) newRefusal(resp *http.Response, at *url.URL, redirect string) *run.Failure {
	raw := readErrorBody(resp)
	e := apierror.Rejected(resp.StatusCode, apierror.Read(raw).Redact(c.secret))
	e.Raw = raw
	e.RetryAfter = max(e.RetryAfter, apierror.Wait(resp.Header, resp.StatusCode, time.Now()))
	switch resp.Header.Get("X-Should-Retry") { // OpenAI's servers send it
	case "true":
		e.Retriable = true
	case "false":
		e.Retriable = false
	}
	switch {
	case redirect != "":
		e.Message = apierror.Redact(redirect, c.secret) + fmt.Sprintf(" (HTTP %d).", resp.StatusCode)
	case e.Code == "upstream_not_found":
		e.Message += pathNote(at)
	case e.Code == "upstream_unauthorized", e.Code == "upstream_forbidden":
		e.Message = credentialNote(c.secret != "") + " " + e.Message
	}
	return e
}

// pathNote names the path that an upstream does not have. Usually its url is
// not the base of the API.
func pathNote(at *url.URL) string {
	note := " (POST " + at.Path
	if !strings.Contains(at.Path, "/v1") {
		note += "; the upstream's url may lack /v1"
	}
	return note + ")"
}

// credentialNote describes the credential that an upstream refused.
func credentialNote(configured bool) string {
	if !configured {
		return "The upstream refused the call, and no credential is configured for this model."
	}
	return "The upstream refused the credential configured for this model."
}
