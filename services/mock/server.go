package mock

import (
	"net/http"
	"sync"

	"windlass.dev/windlass/services/mock/internal/embedding"
	"windlass.dev/windlass/services/mock/internal/exchange"
	"windlass.dev/windlass/services/mock/internal/ledger"
	"windlass.dev/windlass/services/mock/internal/model"
	"windlass.dev/windlass/services/mock/internal/tool"
)

// Server is the scripted model and its tools behind one HTTP handler. It starts
// nothing of its own and is safe for concurrent use.
//
//	POST   /v1/chat/completions  the model, streaming or not
//	POST   /v1/responses         the same model, as the Responses API
//	POST   /v1/embeddings        vectors that follow from the texts
//	POST   /v1/completions       the plan's text, or the prompt again
//	POST   /tools/{name}         a tool: any name echoes; get_weather is the demo's
//	GET    /v1/models            an empty list: any name is served
//	GET    /ledger?seed=&kind=   every call, oldest first; header Ledger-Dropped
//	DELETE /ledger               forget calls and attempts
//	GET    /healthz              the process answers
type Server struct {
	mux    *http.ServeMux
	ledger *ledger.Ledger
	closed chan struct{}
	once   sync.Once
}

// Option adjusts a new Server.
type Option func(*Server)

// LedgerCap bounds the entries kept, and the places whose attempts are counted.
// The default is two million.
func LedgerCap(entries int) Option {
	return func(s *Server) { s.ledger = ledger.New(entries) }
}

// New makes a server. Close ends the waits of its open calls.
func New(options ...Option) *Server {
	s := &Server{mux: http.NewServeMux(), closed: make(chan struct{}), ledger: ledger.New(ledger.DefaultLimit)}
	for _, option := range options {
		option(s)
	}
	recorder := &exchange.Recorder{Ledger: s.ledger, Closed: s.closed}
	models := model.Server{Recorder: recorder}
	s.mux.HandleFunc("POST /v1/chat/completions", models.Chat)
	s.mux.HandleFunc("POST /v1/responses", models.Respond)
	s.mux.HandleFunc("POST /v1/completions", models.Complete)
	s.mux.Handle("POST /v1/embeddings", embedding.Server{Recorder: recorder})
	s.mux.Handle("POST /tools/{name}", tool.Server{Recorder: recorder})
	s.mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"object":"list","data":[]}`))
	})
	s.mux.HandleFunc("GET /ledger", s.ledger.ServeEntries)
	s.mux.HandleFunc("DELETE /ledger", s.ledger.ServeReset)
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	})
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Close aborts every call that waits, now or later, so that the HTTP server
// around it can close.
func (s *Server) Close() { s.once.Do(func() { close(s.closed) }) }

// Ledger copies the calls since the last reset, in order of arrival.
func (s *Server) Ledger() []Entry { return s.ledger.Entries() }

// Dropped is the number of calls that did not fit into the ledger.
func (s *Server) Dropped() int { return s.ledger.Dropped() }

// Reset empties the ledger and the attempt counts: faults start again.
func (s *Server) Reset() { s.ledger.Reset() }
