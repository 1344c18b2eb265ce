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

// set writes the headers of a call. What belongs to the upstream's operator is
// only for the upstream's own host, never for one that it redirects to.
func (h Headers) set(to http.Header, at registry.Upstream, secret string, own bool) {
	if own {
		at.SetHeaders(to, secret)
	}
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

// call is a call on its way.
type call struct {
	http   http.RoundTripper // not a client, which would follow redirects its own way
	at     registry.Upstream
	base   *url.URL // where the upstream is
	body   []byte
	header Headers
	accept string
	secret string
}

// send sends a call and returns the answer if it is no refusal. The caller
// closes its body.
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
	if c.secret, err = at.Credential.Resolve(); err != nil {
		return nil, &run.Failure{Code: run.CodeServerError, Message: "The model's credential is not available.", Retriable: true}
	}
	return c.follow(ctx)
}

// follow sends the call, and sends it again as it was where the upstream
// redirects it: a client that turns a POST into a GET, as browsers do, asks for
// something else.
func (c *call) follow(ctx context.Context) (*answer, error) {
	at := c.base
	for hop := 0; ; hop++ {
		resp, err := c.post(ctx, at)
		if err != nil {
			return nil, failed(ctx, err)
		}
		if resp.StatusCode >= 200 && resp.StatusCode < 300 {
			return &answer{resp: resp, secret: c.secret}, nil
		}
		target, why := c.target(resp, at, hop)
		if target == nil {
			defer resp.Body.Close()
			return nil, c.refused(resp, at, why)
		}
		_, _ = io.CopyN(io.Discard, resp.Body, maxError) // so that the connection can be used again
		_ = resp.Body.Close()
		at = target
	}
}

func (c *call) post(ctx context.Context, at *url.URL) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.String(), bytes.NewReader(c.body))
	if err != nil {
		return nil, fmt.Errorf("build a model call: %w", err)
	}
	c.header.set(req.Header, c.at, c.secret, c.own(at))
	req.Header.Set("Accept", c.accept)
	// Said here, it leaves the body as it came: servers name encodings that
	// they do not use, and use some that they do not name.
	req.Header.Set("Accept-Encoding", "gzip")
	resp, err := c.http.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("send a model call: %w", err)
	}
	return resp, nil
}

// own tells whether an address is the upstream's: the same server, or the same
// host by https in place of http.
func (c *call) own(at *url.URL) bool {
	if at.Hostname() != c.base.Hostname() {
		return false
	}
	return at.Scheme == c.base.Scheme && port(at) == port(c.base) || at.Scheme == "https" && c.base.Scheme == "http"
}

func port(at *url.URL) string {
	return cmp.Or(at.Port(), map[string]string{"http": "80", "https": "443"}[at.Scheme])
}

// target is where a call is to be sent again; nil if the answer is no redirect
// or one that is not followed, which why says.
func (c *call) target(resp *http.Response, from *url.URL, hop int) (to *url.URL, why string) {
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
	case hop >= maxHops:
		return nil, fmt.Sprintf("The upstream redirects to %s, after %d redirects that were followed", named, maxHops)
	}
	to.User, to.Fragment = nil, ""
	return to, ""
}

// refused reads an answer that is not 200.
func (c *call) refused(resp *http.Response, at *url.URL, redirect string) *run.Failure {
	raw := unpackedError(resp)
	e := apierror.Refused(resp.StatusCode, apierror.Read(raw).Redact(c.secret))
	e.Raw = raw
	e.RetryAfter = max(e.RetryAfter, apierror.Wait(resp.Header, resp.StatusCode, time.Now()))
	switch resp.Header.Get("X-Should-Retry") { // OpenAI's servers say so
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
		e.Message = credentialNote(c.secret != "", c.own(at)) + " " + e.Message
	}
	return e
}

// pathNote names the path that an upstream does not have: mostly its url is not
// the API's base.
func pathNote(at *url.URL) string {
	note := " (POST " + at.Path
	if !strings.Contains(at.Path, "/v1") {
		note += "; the upstream's url may lack /v1"
	}
	return note + ")"
}

// credentialNote says which credential an upstream refused. own: the upstream's
// own host did.
func credentialNote(configured, own bool) string {
	switch {
	case !configured:
		return "The upstream refused the call, and no credential is configured for this model."
	case !own:
		return "The upstream redirects to another host, which does not get the credential configured for this model."
	}
	return "The upstream refused the credential configured for this model."
}
