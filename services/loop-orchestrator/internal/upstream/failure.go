package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// ErrCallTimeout is the cause of a context that ended a call which took longer
// than the model's timeout.
var ErrCallTimeout = errors.New("the model call took longer than its timeout")

// callFailure returns the cause of ctx if that has ended, and otherwise the
// failure of a call that the network ended.
func callFailure(ctx context.Context, err error) error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, ErrCallTimeout):
		return &run.Failure{Code: run.CodeTimeout, Message: "The upstream did not answer in time.", Retriable: true}
	case cause != nil:
		return cause
	}
	why, final := networkReason(err)
	message := "The upstream could not be reached"
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		message, why = "The upstream broke off its answer", ""
	}
	if why != "" {
		message += ": " + why
	}
	return &run.Failure{Code: run.CodeConnection, Message: message + ".", Retriable: !final}
}

// networkReason returns why the network failed, without addresses, which are
// not for the client. final reports that the configuration is wrong, so that
// each attempt would fail alike.
func networkReason(err error) (why string, final bool) {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var number syscall.Errno
	switch {
	case errors.As(err, &certificate):
		return "its certificate is not trusted: " + certificate.Err.Error(), true
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "its url begins with https, but it answers in plain HTTP", true
	case errors.As(err, &dns) && dns.IsNotFound:
		return "its host name is unknown", false
	case errors.As(err, &dns):
		return "its host name could not be looked up", false
	case errors.As(err, &number):
		return number.Error(), false
	case os.IsTimeout(err):
		return "the connection timed out", false
	}
	return "", false
}

// incompleteFailure returns the failure of an answer that ended too early.
func incompleteFailure(ctx context.Context, err error) error {
	var call *run.Failure
	if errors.As(err, &call) {
		return call
	}
	if ctx.Err() != nil {
		return callFailure(ctx, err)
	}
	return &run.Failure{Code: run.CodeServerError, Message: err.Error(), HTTPStatus: http.StatusOK, Retriable: true}
}

func malformedError(why string) error { return fmt.Errorf("%w: %s", model.ErrMalformed, why) }

func tooLargeError(resp *http.Response) error {
	return &run.Failure{
		Code: run.CodeServerError, Message: "The upstream's answer is too large.", HTTPStatus: resp.StatusCode,
	}
}
