package mock

import (
	"bytes"
	"fmt"
	"net/http"
	"sync"
)

// maxRequest is the largest body read; a history of tool results may be long.
const maxRequest = 64 << 20

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
	ledger ledger
	closed chan struct{}
	once   sync.Once
}

// Option adjusts a new Server.
type Option func(*Server)

// LedgerCap bounds the entries kept, and the places whose attempts are counted;
// two million when not given.
func LedgerCap(entries int) Option {
	return func(s *Server) { s.ledger.limit = entries }
}

// New makes a server. Close ends the waits of its open calls.
func New(options ...Option) *Server {
	s := &Server{mux: http.NewServeMux(), closed: make(chan struct{})}
	s.ledger.limit = defaultLedgerCap
	for _, option := range options {
		option(s)
	}
	s.mux.HandleFunc("POST /v1/chat/completions", s.chat)
	s.mux.HandleFunc("POST /v1/responses", s.respond)
	s.mux.HandleFunc("POST /v1/embeddings", s.embed)
	s.mux.HandleFunc("POST /v1/completions", s.complete)
	s.mux.HandleFunc("POST /tools/{name}", s.tool)
	s.mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"object":"list","data":[]}`))
	})
	s.mux.HandleFunc("GET /ledger", s.readLedger)
	s.mux.HandleFunc("DELETE /ledger", s.deleteLedger)
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	})
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Close breaks off every call that waits, now or later, so that the HTTP
// server around it can close.
func (s *Server) Close() { s.once.Do(func() { close(s.closed) }) }

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// withBody reads a request's body into a shared buffer and hands it to use,
// which must not keep it.
func withBody(w http.ResponseWriter, r *http.Request, use func([]byte)) error {
	buf := buffers.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() < 1<<20 {
			buffers.Put(buf)
		}
	}()
	buf.Reset()
	if _, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, maxRequest)); err != nil {
		return fmt.Errorf("read body of %s: %w", r.URL.Path, err)
	}
	use(buf.Bytes())
	return nil
}
