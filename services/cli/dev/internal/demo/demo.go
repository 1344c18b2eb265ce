// Package demo serves the demo model and its tools of `windlass dev`, which
// need neither a key nor a network.
package demo

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/mock"
)

// Server serves the demo model and its tools on a free port of 127.0.0.1.
type Server struct {
	scripted *mock.Server
	http     *http.Server
	address  string
	served   sync.WaitGroup
	names    []string // of its model and tools, after Register
}

// Start starts a server. Close it.
func Start(ctx context.Context) (*Server, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the demo model: %w", err)
	}
	s := &Server{scripted: mock.New(mock.LedgerCap(100_000)), address: listener.Addr().String()}
	s.http = &http.Server{Handler: s.scripted, ReadHeaderTimeout: 10 * time.Second}
	s.served.Go(func() { _ = s.http.Serve(listener) }) // ends by Close
	return s, nil
}

// Close cuts the calls in flight: their requests go on at the next start.
func (s *Server) Close() {
	s.scripted.Close()
	_ = s.http.Close()
	s.served.Wait()
}

// Serves reports whether a model or tool of that name is the demo's.
func (s *Server) Serves(name string) bool { return slices.Contains(s.names, name) }

// Model is the name of the demo model.
const Model = "demo"

// concurrency lets benchmarks and tests load the demo model.
const concurrency = 1024

// Register adds the demo model, and the demo tools for this model only. If the
// file has a model of that name, nothing is added. A tool of the file replaces
// the demo tool of its name.
func (s *Server) Register(file *registry.File) {
	taken := map[string]bool{}
	for _, t := range file.Tools {
		taken[t.Name] = true
	}
	for _, m := range file.Models {
		if m.Name == Model {
			return
		}
	}
	s.names = []string{Model}
	file.Models = append(file.Models, registry.Model{
		Name: Model, Upstream: registry.Upstream{URL: "http://" + s.address + "/v1"}, Concurrency: concurrency,
	})
	for _, t := range tools() {
		if !taken[t.Name] {
			t.URL, t.AllowPrivate, t.Models = "http://"+s.address+"/tools/"+t.Name, true, []string{Model}
			s.names = append(s.names, t.Name)
			file.Tools = append(file.Tools, t)
		}
	}
}

func tools() []registry.Tool {
	return []registry.Tool{
		{
			Name: "get_weather", Description: "The weather in a city.",
			Parameters: registry.Schema(
				`{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}`),
		},
		{
			Name: "mock_echo", Description: "Answers a number that follows from its arguments.",
			Parameters: registry.Schema(mock.ToolSchema),
		},
	}
}
