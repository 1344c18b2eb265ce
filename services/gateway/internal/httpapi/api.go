// Package httpapi is the HTTP side of the gateway that all routes share:
// routing by method, exchanges with their log line and metrics, bodies, errors,
// pages and origins.
//
// A body is read to its limit and no further. A path or method that does not
// exist is answered with what was probably meant (package hints). Prompts,
// outputs and keys are not logged, and neither is what an error message quotes
// of a request (TestLoggedRefusalsQuoteNoRequest).
//
// Pages of other origins may call the API if WINDLASS_CORS_ORIGINS lists them
// (package origins). Preflights are answered before the key is checked. Cookies
// are never accepted, so that the origin * is safe: the key is the only
// credential.
package httpapi

import (
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/budget"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/services/gateway/internal/hints"
	"windlass.dev/windlass/services/gateway/internal/origins"
)

// Handler answers one method of one route. The error that it returns is written
// as an error of the API.
type Handler func(x *Exchange, r *http.Request) error

// Routes are patterns and the handlers of their methods.
type Routes map[string]map[string]Handler

// API is the HTTP side of the gateway: it finds the handler of a request, and
// observes, counts and logs each exchange. Add all routes before the first
// request; from then on it is safe for concurrent use.
type API struct {
	log     *zap.Logger
	metrics *metrics
	maxBody int64
	memory  *budget.Budget
	reads   reads
	origins origins.List
	hosts   process.Hosts
	tasks   *sync.WaitGroup
	mux     *http.ServeMux
	hints   hints.Routes
}

// Options is what an API needs.
type Options struct {
	Log     *zap.Logger
	Metrics prometheus.Registerer
	MaxBody int64           // of a request, in bytes
	Memory  *budget.Budget  // for bodies and answers; nil: unbounded
	Origins origins.List    // of pages that may call from a browser
	Hosts   process.Hosts   // under which the API may be called
	Tasks   *sync.WaitGroup // counts the handlers that run
}

// New returns an API without routes.
func New(o Options) *API {
	a := &API{
		log: o.Log, metrics: newMetrics(o.Metrics), maxBody: o.MaxBody, memory: o.Memory, origins: o.Origins,
		hosts: o.Hosts, tasks: o.Tasks, reads: reads{keys: map[readKey]*turns{}},
		mux: http.NewServeMux(), hints: hints.Routes{},
	}
	a.mux.Handle("/", a.answer("/", a.noRoute))
	return a
}

// Add serves routes. wrap is called once for each handler and returns the one
// that runs, which checks the key, for example; nil adds nothing.
func (a *API) Add(routes Routes, wrap func(pattern, method string, h Handler) Handler) {
	for pattern, methods := range routes {
		a.hints[pattern] = slices.Sorted(maps.Keys(methods))
		answers := map[string]http.Handler{}
		for method, h := range methods {
			if wrap != nil {
				h = wrap(pattern, method, h)
			}
			answers[method] = a.answer(method+" "+pattern, h)
		}
		a.mux.Handle(pattern, a.byMethod(pattern, answers))
	}
}

// byMethod chooses the handler of a route. http.ServeMux cannot: a path of its
// own beside one with an id, which has other methods, would be ambiguous to it.
func (a *API) byMethod(pattern string, answers map[string]http.Handler) http.Handler {
	refuse := a.answer(pattern, methodNotAllowed(slices.Sorted(maps.Keys(answers))))
	if get, ok := answers[http.MethodGet]; ok {
		answers[http.MethodHead] = get
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h, ok := answers[r.Method]; ok {
			h.ServeHTTP(w, r)
			return
		}
		refuse.ServeHTTP(w, r)
	})
}

// answer runs a handler and writes the error that it returns. route is the name
// for metrics and logs.
func (a *API) answer(route string, h Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := w.(*Exchange)
		x.Route = route
		if err := h(x, r); err != nil {
			x.fail(r, err)
		}
	})
}

// Handler returns the whole API.
func (a *API) Handler() http.Handler {
	h := a.allowOrigins(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The mux would redirect to the cleaned path; an id with dots and
		// slashes in it does not exist.
		if p := r.URL.EscapedPath(); p != path.Clean(p) {
			x := w.(*Exchange)
			x.fail(r, a.noRoute(x, r))
			return
		}
		a.mux.ServeHTTP(w, r)
	}))
	return a.observe(func(x *Exchange, r *http.Request) {
		if !a.hosts.Allows(r.Host) {
			x.fail(r, wrongHost(r.Host))
			return
		}
		h.ServeHTTP(x, r)
	})
}

// wrongHost refuses a request that was sent to a name of this server that its
// settings do not list.
func wrongHost(host string) error {
	return &fault.Error{
		Status: http.StatusForbidden, Type: "invalid_request_error", Code: "host_not_allowed",
		Message: fmt.Sprintf("This server does not answer for the host '%s'. "+
			"The setting WINDLASS_HOSTS lists the names under which it may be called.", Excerpt(host)),
	}
}

// noRoute answers for an unknown path and names the one that was probably
// meant.
func (a *API) noRoute(_ *Exchange, r *http.Request) error {
	hint := a.hints.Route(r.Method, r.URL.Path)
	if hint == "" {
		hint = "GET /openapi.json lists the routes of this server."
	}
	return fault.NotFound(fmt.Sprintf("Invalid URL (%s %s). %s", Excerpt(r.Method), Excerpt(r.URL.Path), hint))
}

func methodNotAllowed(allowed []string) Handler {
	return func(x *Exchange, r *http.Request) error {
		x.Header().Set("Allow", strings.Join(allowed, ", "))
		return &fault.Error{
			Status: http.StatusMethodNotAllowed, Type: "invalid_request_error", Code: "method_not_allowed",
			Message: fmt.Sprintf("Not allowed to %s on %s. Use %s.",
				Excerpt(r.Method), Excerpt(r.URL.Path), strings.Join(allowed, " or ")),
		}
	}
}
