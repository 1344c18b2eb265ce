package gateway

import (
	"maps"
	"net/http"
	"path"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/catalog"
	"windlass.dev/windlass/services/gateway/internal/hints"
	"windlass.dev/windlass/services/gateway/internal/origins"
	"windlass.dev/windlass/services/internal/compaction"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/lanes"
)

// server is one gateway. It is safe for concurrent use.
type server struct {
	cfg     Config
	seals   compaction.Keys
	origins origins.List // of pages that may call from a browser
	key     [32]byte     // digest of WINDLASS_API_KEY
	keys    *keyring
	catalog *catalog.Catalog // of the wildcard's upstream; nil without a wildcard
	hints   hints.Routes
	store   *store.Store
	bus     *bus.Bus
	publish dispatch.Publisher
	log     *zap.Logger
	metrics *metrics
	started time.Time

	waiters *waiters
	backlog *backlog
	orphans *orphans
	lanes   *lanes.Lanes
	tenants *tenants
	spent   spent
	// tasks are handlers, and what outlives one: statements that were given up, notices of cancels. serve waits for them.
	tasks sync.WaitGroup

	socketLife time.Duration
	sockets    sync.WaitGroup // those that are open
	leaving    chan struct{}  // closed when the drain begins
}

// handler answers one route. What it returns is written as an error of the API.
type handler func(x *exchange, r *http.Request) error

// routes are the API: patterns, and who answers which method. Each is described in package openapi, whose comment says how.
func (s *server) routes() map[string]map[string]handler {
	return map[string]map[string]handler{
		"/v1/responses":                  {http.MethodPost: s.create, http.MethodGet: s.listOrUpgrade},
		compactPath:                      {http.MethodPost: s.compact},
		inputTokensPath:                  {http.MethodPost: s.inputTokens},
		"/v1/responses/{id}":             {http.MethodGet: s.read, http.MethodDelete: s.delete},
		"/v1/responses/{id}/cancel":      {http.MethodPost: s.cancel},
		"/v1/responses/{id}/input_items": {http.MethodGet: s.inputItems},
		"/v1/responses/{id}/steps":       {http.MethodGet: s.steps},
		"/v1/chat/completions":           {http.MethodPost: s.oneCall(run.ChatCompletions)},
		"/v1/completions":                {http.MethodPost: s.oneCall(run.Completions)},
		"/v1/embeddings":                 {http.MethodPost: s.oneCall(run.Embeddings)},
		"/v1/requests/{id}/steps":        {http.MethodGet: s.callSteps},
		"/v1/conversations":              {http.MethodPost: s.createConversation},
		"/v1/conversations/{id}": {
			http.MethodGet: s.readConversation, http.MethodPost: s.updateConversation, http.MethodDelete: s.deleteConversation,
		},
		"/v1/conversations/{id}/items":        {http.MethodGet: s.listItems, http.MethodPost: s.addItems},
		"/v1/conversations/{id}/items/{item}": {http.MethodGet: s.readItem, http.MethodDelete: s.deleteItem},
		"/v1/models":                          {http.MethodGet: s.models},
		"/v1/models/{model...}":               {http.MethodGet: s.oneModel},
	}
}

// adminRoutes are the routes that need a key with the scope admin.
func (s *server) adminRoutes() map[string]map[string]handler {
	return map[string]map[string]handler{
		"/v1/keys":      {http.MethodGet: s.listKeys, http.MethodPost: s.createKey},
		"/v1/keys/{id}": {http.MethodGet: s.readKey, http.MethodDelete: s.revokeKey},
	}
}

// public are the routes that need no key.
func (s *server) public() map[string]map[string]handler {
	return map[string]map[string]handler{
		"/openapi.json": {http.MethodGet: s.document},
	}
}

// handler is the whole API.
func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	s.hints = hints.Routes{}
	add := func(routes map[string]map[string]handler, wrap func(handler) handler) {
		for pattern, methods := range routes {
			s.hints[pattern] = slices.Sorted(maps.Keys(methods))
			mux.Handle(pattern, s.byMethod(pattern, methods, wrap))
		}
	}
	add(s.routes(), s.keyed)
	add(s.adminRoutes(), s.adminKeyed)
	add(s.public(), func(h handler) handler { return h })
	mux.Handle("/", s.answer("/", s.noRoute))
	shared := s.shared(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The mux would redirect to the cleaned path; an id with dots and slashes in it is simply not there.
		if p := r.URL.EscapedPath(); p != path.Clean(p) {
			x := w.(*exchange)
			s.fail(x, r, s.noRoute(x, r))
			return
		}
		mux.ServeHTTP(w, r)
	}))
	return s.observe(func(x *exchange, r *http.Request) { shared.ServeHTTP(x, r) })
}

// byMethod answers a route. The mux is not asked to tell methods apart: a path of its own beside one with an id, which has other methods,
// would be ambiguous to it.
func (s *server) byMethod(pattern string, methods map[string]handler, wrap func(handler) handler) http.Handler {
	answers := map[string]http.Handler{}
	for method, h := range methods {
		if method == http.MethodPost {
			h = s.once(pattern, h)
		}
		answers[method] = s.answer(method+" "+pattern, wrap(h))
	}
	if get, ok := answers[http.MethodGet]; ok {
		answers[http.MethodHead] = get
	}
	refuse := s.answer(pattern, methodNotAllowed(slices.Sorted(maps.Keys(methods))))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h, ok := answers[r.Method]; ok {
			h.ServeHTTP(w, r)
			return
		}
		refuse.ServeHTTP(w, r)
	})
}

// answer runs a handler and writes the error it returns. route is how metrics and logs call it.
func (s *server) answer(route string, h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := w.(*exchange)
		x.route = route
		if err := h(x, r); err != nil {
			s.fail(x, r, err)
		}
	})
}
