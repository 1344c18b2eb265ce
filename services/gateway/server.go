package gateway

import (
	"maps"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/adminapi"
	"windlass.dev/windlass/services/gateway/internal/admission"
	"windlass.dev/windlass/services/gateway/internal/auth"
	"windlass.dev/windlass/services/gateway/internal/catalog"
	"windlass.dev/windlass/services/gateway/internal/conversationapi"
	"windlass.dev/windlass/services/gateway/internal/history"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/stream"
	"windlass.dev/windlass/services/gateway/internal/tenants"
	"windlass.dev/windlass/services/gateway/internal/wait"
)

// server is one gateway. It is safe for concurrent use.
type server struct {
	cfg           Config
	api           *httpapi.API
	auth          *auth.Checker
	keys          *adminapi.Server
	catalog       *catalog.Models
	rules         *admission.Rules
	gate          *admission.Gate
	canceller     *wait.Canceller
	waiters       *wait.Waiters
	tenants       *tenants.Live
	streams       *stream.Server
	history       *history.Server
	conversations *conversationapi.Server
	store         *store.Store
	bus           *bus.Bus
	log           *zap.Logger
	// tasks are the handlers that run and what outlives one: statements that
	// were given up, notices of cancels. serve waits for them.
	tasks sync.WaitGroup

	socketLife time.Duration
	sockets    sync.WaitGroup // those that are open
	leaving    chan struct{}  // closed when the drain begins
}

// routes are the API: patterns, and who answers which method. Each is described
// in package openapi, whose comment says how.
func (s *server) routes() httpapi.Routes {
	all := httpapi.Routes{
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
	}
	maps.Copy(all, s.catalog.Routes())
	maps.Copy(all, s.conversations.Routes())
	return all
}

// public are the routes that need no key.
func (s *server) public() httpapi.Routes {
	return httpapi.Routes{
		"/openapi.json": {http.MethodGet: s.document},
	}
}

// handler is the whole API.
func (s *server) handler() http.Handler {
	post := func(pattern, method string, h httpapi.Handler) httpapi.Handler {
		if method == http.MethodPost {
			return s.once(pattern, h)
		}
		return h
	}
	s.api.Add(s.routes(), func(pattern, method string, h httpapi.Handler) httpapi.Handler {
		return s.auth.Require(post(pattern, method, h))
	})
	s.api.Add(s.keys.Routes(), func(pattern, method string, h httpapi.Handler) httpapi.Handler {
		return s.auth.RequireAdmin(post(pattern, method, h))
	})
	s.api.Add(s.public(), nil)
	return s.api.Handler()
}
