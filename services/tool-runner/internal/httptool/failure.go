package httptool

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"windlass.dev/windlass/pkg/run"
)

const (
	// maxExcerpt bounds the excerpt of a failed call's answer that the model
	// sees.
	maxExcerpt = 2 << 10
	// maxRetryAfter bounds how long a tool can ask to wait.
	maxRetryAfter = time.Hour
)

const addressRefused = "the tool's address is not one that may be called"

// callFailure returns the failure of an error of net/http. It does not use the
// error's text, which contains URLs and addresses.
func callFailure(ctx context.Context, err error) *run.Failure {
	var redirect redirectError
	var timeout net.Error
	switch {
	case errors.Is(err, errPrivate):
		return &run.Failure{Code: run.CodeAddressRefused, Message: addressRefused +
			": it is loopback or private, which needs allow_private: true at the tool in the registry file"}
	case isAddressRefused(err):
		return &run.Failure{Code: run.CodeAddressRefused, Message: addressRefused}
	case errors.As(err, &redirect):
		return &run.Failure{Code: run.CodeRedirectRefused, Message: redirect.Error()}
	case errors.Is(context.Cause(ctx), errSilence):
		return &run.Failure{Code: run.CodeTimeout, Message: "the tool's answer stopped before its end", Retriable: true}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return &run.Failure{Code: run.CodeTimeout, Message: "the tool did not answer in time", Retriable: true}
	default:
		return &run.Failure{Code: run.CodeConnection, Message: connectionFault(err), Retriable: true}
	}
}

func connectionFault(err error) string {
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &name):
		return "the tool's host name could not be resolved"
	case errors.As(err, &certificate):
		return "the tool's certificate could not be verified"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the tool refused the connection"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the tool closed the connection before its answer was complete"
	default:
		return "the tool could not be reached, or its answer not be read"
	}
}

// statusFailure returns the failure of an answer whose status is not 2xx.
func (call Call) statusFailure(resp *http.Response, body io.Reader) *run.Failure {
	status := resp.StatusCode
	f := &run.Failure{
		Code:       "http_" + strconv.Itoa(status),
		Message:    strings.TrimSpace(fmt.Sprintf("the tool answered %d %s", status, http.StatusText(status))),
		Retriable:  status == http.StatusRequestTimeout || status == http.StatusTooManyRequests || status >= 500,
		HTTPStatus: status,
	}
	if f.Retriable {
		f.RetryAfter = retryAfter(resp.Header, time.Now())
	}
	if status == http.StatusSwitchingProtocols { // the body is the bare connection
		return f
	}
	raw, err := io.ReadAll(io.LimitReader(body, maxErrorBytes))
	if err != nil && len(raw) == 0 {
		return f
	}
	raw = call.redact(decodeText(resp.Header, raw))
	if _, is := binaryNote(resp.Header, raw, false, maxErrorBytes); is {
		return f
	}
	if excerpt, _ := fit(raw, maxExcerpt); len(excerpt) > 0 {
		f.Message += ": " + string(excerpt)
	}
	return f
}

// retryAfter reads the Retry-After header, in seconds or as a date, bounded to
// an hour. A date counts from the answer's own Date, if it has one: the tool's
// clock may differ from ours. Other values are 0.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
