package httptool

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"windlass.dev/windlass/pkg/process/shortage"
	"windlass.dev/windlass/pkg/run"
)

const (
	// maxErrorBytes bounds what is read of a failed call's answer. A longer
	// answer costs the connection.
	maxErrorBytes = 16 << 10
	// minSecret is the length from which a credential is redacted. A shorter
	// one is no secret, and its text appears in answers by chance.
	minSecret = 8
)

var errSilence = errors.New("answer paused for too long")

// Call is one attempt of one tool call.
type Call struct {
	URL       string // http or https
	Method    string // POST if empty
	Arguments []byte // JSON
	// Bearer is the credential; empty if the tool has none.
	Bearer string
	// AllowPrivate lets the call reach loopback and private networks.
	AllowPrivate bool
	// Once forbids net/http to send the call again over a new connection.
	Once bool
	// MaxOutputBytes bounds how much of the answer becomes output.
	MaxOutputBytes int

	// IdempotencyKey, RequestID (as clients know it), CallID, Attempt and
	// Traceparent tell the tool which call it is. An empty Traceparent is not
	// sent.
	IdempotencyKey string
	RequestID      string
	CallID         string
	Attempt        uint32
	Traceparent    string
}

// Do is Try with a shortage as a failure.
func (c *Client) Do(ctx context.Context, call Call) (Output, *run.Failure) {
	output, failure, lack := c.Try(ctx, call)
	if lack != nil {
		return Output{}, callFailure(ctx, lack)
	}
	return output, failure
}

// Try makes the call and returns its output or its failure. The context bounds
// all of it. If the context was cancelled, the failure is not the tool's, and
// the caller should look at the cause. The error is a *shortage.Error: the
// process has no descriptor or no memory for a connection, and nothing was
// sent.
func (c *Client) Try(ctx context.Context, call Call) (Output, *run.Failure, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil) // closes the connection of an answer that was not read to its end

	req, failure := call.request(ctx)
	if failure != nil {
		return Output{}, failure, nil
	}
	resp, err := send(c.transports[manner{private: call.AllowPrivate, once: call.Once}], req)
	if lack := shortage.Of(err); lack != nil {
		return Output{}, nil, lack
	}
	if err != nil {
		return Output{}, callFailure(ctx, err), nil
	}
	defer resp.Body.Close()

	watch := time.AfterFunc(c.silence, func() { cancel(errSilence) })
	defer watch.Stop()
	body := &watchedReader{body: resp.Body, watch: watch, silence: c.silence}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return Output{}, call.statusFailure(resp, body), nil
	}
	raw, err := io.ReadAll(io.LimitReader(body, int64(call.MaxOutputBytes)+1))
	if err != nil {
		return Output{}, callFailure(ctx, err), nil
	}
	return newOutput(resp.Header, call.redact(decodeText(resp.Header, raw)), len(raw), call.MaxOutputBytes), nil, nil
}

func (call Call) request(ctx context.Context) (*http.Request, *run.Failure) {
	method := call.Method
	if method == "" {
		method = http.MethodPost
	}
	at, err := url.Parse(call.URL)
	if err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" {
		return nil, &run.Failure{Code: run.CodeAddressRefused, Message: "the tool's URL is not an http or https one"}
	}
	req, err := http.NewRequestWithContext(ctx, method, call.URL, bytes.NewReader(call.Arguments))
	if err != nil {
		return nil, &run.Failure{Code: run.CodeAddressRefused, Message: "the tool's URL or method cannot be used"}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "windlass-tool-runner")
	req.Header.Set("Idempotency-Key", headerValue(call.IdempotencyKey))
	req.Header.Set("Windlass-Request-Id", headerValue(call.RequestID))
	req.Header.Set("Windlass-Call-Id", headerValue(call.CallID))
	req.Header.Set("Windlass-Attempt", strconv.FormatUint(uint64(call.Attempt), 10))
	if call.Traceparent != "" {
		req.Header.Set("traceparent", headerValue(call.Traceparent))
	}
	if call.Bearer != "" {
		req.Header.Set("Authorization", "Bearer "+call.Bearer)
	} else if password, set := at.User.Password(); set {
		req.SetBasicAuth(at.User.Username(), password)
	}
	return req, nil
}

// headerValue returns a text as a valid header value. Call ids are chosen by
// the model.
func headerValue(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		return url.QueryEscape(text)
	}
	return text
}

// redact removes the credential from what a tool answered.
func (call Call) redact(text []byte) []byte {
	if len(call.Bearer) < minSecret {
		return text
	}
	return bytes.ReplaceAll(text, []byte(call.Bearer), []byte("[redacted]"))
}

// watchedReader resets the timer with each read that returns data.
type watchedReader struct {
	body    io.Reader
	watch   *time.Timer
	silence time.Duration
}

func (r *watchedReader) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	if n > 0 {
		r.watch.Reset(r.silence)
	}
	return n, err
}
