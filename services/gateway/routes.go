package gateway

import (
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/gateway/internal/adminapi"
	"windlass.dev/windlass/services/gateway/internal/auth"
	"windlass.dev/windlass/services/gateway/internal/catalog"
	"windlass.dev/windlass/services/gateway/internal/chatapi"
	"windlass.dev/windlass/services/gateway/internal/conversationapi"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/idempotency"
	"windlass.dev/windlass/services/gateway/internal/responseapi"
	"windlass.dev/windlass/services/gateway/internal/socket"
	"windlass.dev/windlass/services/gateway/internal/tenants"
	"windlass.dev/windlass/services/gateway/internal/wait"
)

// server is one gateway: the parts that serve routes, and those that run beside
// them. It is safe for concurrent use.
type server struct {
	api           *httpapi.API
	auth          *auth.Checker
	once          *idempotency.Keys
	keys          *adminapi.Server
	models        *catalog.Models
	chat          *chatapi.Server
	conversations *conversationapi.Server
	creator       *responseapi.Creator
	responses     *responseapi.Server
	sockets       *socket.Server

	tenants *tenants.Live
	waiters *wait.Waiters
	// tasks are the handlers that run and what outlives one: statements that
	// were given up, notices of cancels. serve waits for them.
	tasks   sync.WaitGroup
	leaving chan struct{} // closed when the drain begins
	grace   time.Duration // of the drain
	log     *zap.Logger
}

// routes are the routes that need a key. Each is described in package openapi,
// whose comment says how.
func (s *server) routes() httpapi.Routes {
	all := httpapi.Routes{}
	for _, routes := range []httpapi.Routes{
		s.creator.Routes(), s.responses.Routes(), s.chat.Routes(), s.conversations.Routes(), s.models.Routes(),
	} {
		for pattern, methods := range routes {
			if all[pattern] == nil {
				all[pattern] = map[string]httpapi.Handler{}
			}
			maps.Copy(all[pattern], methods)
		}
	}
	responses := all[run.Responses.Path()]
	responses[http.MethodGet] = s.sockets.UpgradeOr(s.api.BoundReads(responses[http.MethodGet]))
	return all
}

// public are the routes that need no key.
func (s *server) public() httpapi.Routes {
	return httpapi.Routes{
		"/openapi.json": {http.MethodGet: document},
	}
}

// handler is the whole API.
func (s *server) handler() http.Handler {
	post := func(pattern, method string, h httpapi.Handler) httpapi.Handler {
		switch {
		case method == http.MethodPost:
			return s.once.Once(pattern, h)
		case method == http.MethodGet && strings.Contains(pattern, "/{id}"): // the other lists are of small objects
			return s.api.BoundReads(h)
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
