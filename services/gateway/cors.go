package gateway

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

// preflightRoute is the route of preflights in logs and metrics: they are
// answered before a route is looked for.
const preflightRoute = "OPTIONS (preflight)"

// originWarnings is the least time between two warnings about pages that may
// not call: anyone can cause them.
const originWarnings = time.Minute

// shared makes the API usable for pages of other origins, as far as
// WINDLASS_CORS_ORIGINS allows them. Without that setting nothing is added to
// an answer.
func (s *server) shared(next http.Handler) http.Handler {
	open := next
	if !s.origins.Empty() {
		open = s.origins.Handler(func(w http.ResponseWriter) { w.(*exchange).route = preflightRoute }, next)
	}
	var warned atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if origin := r.Header.Get("Origin"); origins.IsPreflight(r) && !s.origins.Allows(origin) {
			s.metrics.originsRefused.Inc()
			last, now := warned.Load(), time.Now().UnixNano()
			if now-last > int64(originWarnings) && warned.CompareAndSwap(last, now) {
				s.log.Warn("page of another origin refused; to allow it, add its origin to WINDLASS_CORS_ORIGINS",
					zap.String("subject", excerpt(origin)))
			}
		}
		open.ServeHTTP(w, r)
	})
}

// checkOrigin refuses the WebSocket of a page that may not call the API.
// Browsers open WebSockets to any server and leave it to the server to look at
// the origin. Without WINDLASS_CORS_ORIGINS there is nothing to check: no page
// can send the key then.
func (s *server) checkOrigin(r *http.Request) error {
	origin := r.Header.Get("Origin")
	if origin == "" || s.origins.Empty() || s.origins.Allows(origin) || sameHost(origin, r.Host) {
		return nil
	}
	s.metrics.originsRefused.Inc()
	return &fault.Error{
		Status: http.StatusForbidden, Type: "invalid_request_error", Code: "origin_not_allowed",
		Message: fmt.Sprintf("Pages of the origin '%s' may not open a WebSocket here. The server's setting "+
			"WINDLASS_CORS_ORIGINS lists the origins that may.", excerpt(origin)),
	}
}

// sameHost tells whether an origin is the host that the request was sent to, as
// programs that are not browsers say it.
func sameHost(origin, host string) bool {
	_, of, ok := strings.Cut(origin, "://")
	return ok && strings.EqualFold(of, host)
}
