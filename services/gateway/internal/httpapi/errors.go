package httpapi

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/services/gateway/internal/cost"
)

// RetryAfter is how long clients are asked to wait for a dependency that is
// away, or for the queue to get shorter.
const RetryAfter = time.Second

// ErrHungUp reports that the client has gone, so that no answer is sent.
var ErrHungUp = errors.New("the client hung up")

// StatusHungUp is counted and logged, never sent.
const StatusHungUp = 499

// fail answers with an error. The client gets the error that FaultOf maps err
// to; the cause of a 5xx is logged.
func (x *Exchange) fail(r *http.Request, err error) {
	f := FaultOf(err)
	// net/http cancels the context of a request whose body came too slowly,
	// though its client is still there.
	gone := errors.Is(context.Cause(r.Context()), context.Canceled) && f.Status != http.StatusRequestTimeout
	if errors.Is(err, ErrHungUp) || gone {
		x.Status = StatusHungUp
		return
	}
	if f.Status >= http.StatusInternalServerError {
		x.Err = err
	}
	x.refused = f
	x.SetRetryHeaders(f)
	if f.Status == http.StatusInternalServerError {
		named := *f // the original may be shared
		named.Message += " The request id to report is " + x.ID + "."
		f = &named
		x.Header().Set("X-Should-Retry", "false")
	}
	if f.Status == http.StatusServiceUnavailable { // SDKs repeat every 5xx unless the header forbids it
		x.Header().Set("X-Should-Retry", strconv.FormatBool(f.RetryAfter > 0))
	}
	x.Send(f.Status, f.JSON())
}

// RetryHeaders returns the headers that say when to send a request again. They
// are empty if the error does not say.
func RetryHeaders(f *fault.Error) http.Header {
	h := http.Header{}
	if f.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(f.RetryAfter.Seconds()))))
		h.Set("Retry-After-Ms", strconv.FormatInt(f.RetryAfter.Milliseconds(), 10))
	}
	return h
}

// FaultOf maps an error to what the client may know of it.
func FaultOf(err error) *fault.Error {
	var f *fault.Error
	switch {
	case errors.As(err, &f):
		return f
	case cost.IsRefusal(err):
		return memoryFault(err)
	case Unavailable(err), errors.Is(err, process.ErrDraining):
		return fault.Unavailable(RetryAfter)
	}
	return fault.Internal()
}

// Unavailable reports whether an error means that the database or the bus is
// away: the same request may succeed in a second. Every other error is a bug or
// a broken installation, and a client gets a 500 that names its log line.
func Unavailable(err error) bool { return postgres.Unavailable(err) || bus.Unavailable(err) }

// Unsupported refuses a parameter that this server does not serve.
func Unsupported(param, message string) *fault.Error {
	return fault.Invalid(param, "unsupported_parameter", message)
}
