package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/store/postgres"
)

// retryAfter is what clients are asked to wait for a dependency, or for the queue to get shorter.
const retryAfter = time.Second

var (
	// errAway says that the database did not answer in time.
	errAway = fmt.Errorf("the database did not answer in time: %w", context.DeadlineExceeded)
	// errHungUp says that there is nobody left to answer.
	errHungUp = errors.New("the client hung up")
)

// statusHungUp is counted and logged, never sent: there is nobody to send it to.
const statusHungUp = 499

// fail writes an error as the API says it. What only we should know is logged instead.
func (s *server) fail(x *exchange, r *http.Request, err error) {
	f := faultOf(err)
	// net/http cancels the context of a request whose body came too slowly, though its client is still there.
	gone := errors.Is(context.Cause(r.Context()), context.Canceled) && f.Status != http.StatusRequestTimeout
	if errors.Is(err, errHungUp) || gone {
		x.status = statusHungUp
		return
	}
	if f.Status >= http.StatusInternalServerError {
		x.err = err
	}
	x.refused = f
	sayWhenToRetry(x, f)
	if f.Status == http.StatusInternalServerError {
		named := *f // the original may be shared
		named.Message += " The request id to report is " + x.id + "."
		f = &named
		x.Header().Set("X-Should-Retry", "false")
	}
	if f.Status == http.StatusServiceUnavailable { // SDKs repeat every 5xx unless told otherwise
		x.Header().Set("X-Should-Retry", strconv.FormatBool(f.RetryAfter > 0))
	}
	s.send(x, f.Status, f.JSON())
}

func sayWhenToRetry(x *exchange, f *fault.Error) { maps.Copy(x.Header(), retryHeaders(f)) }

func retryHeaders(f *fault.Error) http.Header {
	h := http.Header{}
	if f.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(f.RetryAfter.Seconds()))))
		h.Set("Retry-After-Ms", strconv.FormatInt(f.RetryAfter.Milliseconds(), 10))
	}
	return h
}

// faultOf maps an error to what the client may know of it.
func faultOf(err error) *fault.Error {
	var f *fault.Error
	switch {
	case errors.As(err, &f):
		return f
	case unavailable(err), errors.Is(err, process.ErrDraining):
		return fault.Unavailable(retryAfter)
	}
	return fault.Internal()
}

// unavailable reports whether the database or the bus is unavailable: the same request may succeed in a second. Every other
// error is a bug or a broken installation, and a client gets a 500 that names its log line.
func unavailable(err error) bool { return postgres.Unavailable(err) || bus.Unavailable(err) }

// send writes an answer that is complete.
func (s *server) send(x *exchange, status int, body []byte) {
	x.Header().Set("Content-Type", "application/json")
	x.Header().Set("Content-Length", strconv.Itoa(len(body)))
	// A handler may have waited for longer than the server's own limit, which counts from the request.
	if err := http.NewResponseController(x).SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		s.log.Debug("write deadline not set", zap.Error(err))
	}
	x.sent = body
	x.WriteHeader(status)
	_, _ = x.Write(body) // a client that has gone is none of our business any more
}

// noRoute answers for a path that is not there, and says which one was probably meant.
func (s *server) noRoute(_ *exchange, r *http.Request) error {
	hint := s.hints.Route(r.Method, r.URL.Path)
	if hint == "" {
		hint = "GET /openapi.json lists the routes of this server."
	}
	return fault.NotFound(fmt.Sprintf("Invalid URL (%s %s). %s", excerpt(r.Method), excerpt(r.URL.Path), hint))
}

func methodNotAllowed(allowed []string) handler {
	return func(x *exchange, r *http.Request) error {
		x.Header().Set("Allow", strings.Join(allowed, ", "))
		return &fault.Error{
			Status: http.StatusMethodNotAllowed, Type: "invalid_request_error", Code: "method_not_allowed",
			Message: fmt.Sprintf("Not allowed to %s on %s. Use %s.", excerpt(r.Method), excerpt(r.URL.Path), strings.Join(allowed, " or ")),
		}
	}
}

// notFound answers alike for an id that is malformed, unknown or another's.
func notFound(id string) *fault.Error {
	return fault.NotFound(fmt.Sprintf("Response with id '%s' not found.", excerpt(id)))
}

func unsupported(param, message string) *fault.Error {
	return fault.Invalid(param, "unsupported_parameter", message)
}

// withoutQuotes takes out of a message what it quotes of a request, from the
// first quotation mark or bracket to the last: logs hold no words of clients.
func withoutQuotes(message string) string {
	first := strings.IndexFunc(strings.NewReplacer("n't", "n_t", "'s ", "_s ").Replace(message), isQuote)
	last := strings.LastIndexFunc(message, isQuote)
	if first < 0 || last <= first {
		return message
	}
	return message[:first+1] + "…" + message[last:]
}

func isQuote(r rune) bool { return strings.ContainsRune("'\"`()", r) }

// excerpt shortens what a client sent for use in a message.
func excerpt(text string) string {
	const most = 80
	if r := []rune(text[:min(len(text), 4*most)]); len(r) > most {
		return string(r[:most]) + "..."
	}
	return text
}
