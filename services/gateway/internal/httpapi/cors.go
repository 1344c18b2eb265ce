package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/services/gateway/internal/origins"
)

// preflightRoute is the route of preflights in logs and metrics. They are
// answered before the route and the key are looked at.
const preflightRoute = "OPTIONS (preflight)"

// originWarnings is the least time between two warnings about refused pages,
// which anyone can cause.
const originWarnings = time.Minute

// allowOrigins lets pages of the origins that WINDLASS_CORS_ORIGINS lists call
// the API. Without that setting it adds nothing to an answer.
func (a *API) allowOrigins(next http.Handler) http.Handler {
	open := next
	if !a.origins.Empty() {
		open = a.origins.Handler(func(w http.ResponseWriter) { w.(*Exchange).Route = preflightRoute }, next)
	}
	var warned atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if origin := r.Header.Get("Origin"); origins.IsPreflight(r) && !a.origins.Allows(origin) {
			a.metrics.originsRefused.Inc()
			last, now := warned.Load(), time.Now().UnixNano()
			if now-last > int64(originWarnings) && warned.CompareAndSwap(last, now) {
				a.log.Warn("page of another origin refused; to allow it, add its origin to WINDLASS_CORS_ORIGINS",
					zap.String("subject", Excerpt(origin)))
			}
		}
		open.ServeHTTP(w, r)
	})
}

// CheckOrigin refuses the WebSocket of a page that may not call the API.
// Browsers open WebSockets to any server and leave it to the server to look at
// the origin. Without WINDLASS_CORS_ORIGINS there is nothing to check, because
// no page can send the key then.
func (a *API) CheckOrigin(r *http.Request) error {
	origin := r.Header.Get("Origin")
	if origin == "" || a.origins.Empty() || a.origins.Allows(origin) || sameHost(origin, r.Host) {
		return nil
	}
	a.metrics.originsRefused.Inc()
	return &fault.Error{
		Status: http.StatusForbidden, Type: "invalid_request_error", Code: "origin_not_allowed",
		Message: fmt.Sprintf("Pages of the origin '%s' may not open a WebSocket here. The server's setting "+
			"WINDLASS_CORS_ORIGINS lists the origins that may.", Excerpt(origin)),
	}
}

// sameHost reports whether an origin is the host that the request was sent to,
// which programs other than browsers send.
func sameHost(origin, host string) bool {
	_, of, ok := strings.Cut(origin, "://")
	return ok && strings.EqualFold(of, host)
}
