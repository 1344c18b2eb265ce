package admission

import (
	"errors"
	"net/http"
)

// The tiers of the queue. The first is served first.
const (
	tierPriority = iota
	tierDefault
	tierFlex
)

// TierOf returns the tier of the queue for a service_tier.
func TierOf(service string) int {
	switch service {
	case "priority", "fast", "ultrafast":
		return tierPriority
	case "flex":
		return tierFlex
	}
	return tierDefault
}

var errTrace = errors.New("not a traceparent")

// TraceOf returns the client's W3C traceparent, or "" if it is malformed.
func TraceOf(h http.Header) string {
	trace := h.Get("Traceparent")
	if checkTrace(trace) != nil {
		return ""
	}
	return trace
}

func checkTrace(trace string) error {
	if len(trace) != len("00-0123456789abcdef0123456789abcdef-0123456789abcdef-01") {
		return errTrace
	}
	for i, c := range []byte(trace) {
		dash := i == 2 || i == 35 || i == 52
		hex := '0' <= c && c <= '9' || 'a' <= c && c <= 'f'
		if dash != (c == '-') || !dash && !hex {
			return errTrace
		}
	}
	return nil
}
