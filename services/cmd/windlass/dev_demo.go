package main

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

// demoServer serves the demo model and its tools on a free port.
type demoServer struct {
	scripted *mock.Server
	http     *http.Server
	address  string
	served   sync.WaitGroup
	names    []string // of the model and the tools that it serves
}

// serves tells whether a model or tool of that name is the demo's.
func (d *demoServer) serves(name string) bool { return slices.Contains(d.names, name) }

func startDemo(ctx context.Context) (*demoServer, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the demo model: %w", err)
	}
	d := &demoServer{scripted: mock.New(mock.LedgerCap(100_000)), address: listener.Addr().String()}
	d.http = &http.Server{Handler: d.scripted, ReadHeaderTimeout: 10 * time.Second}
	d.served.Go(func() { _ = d.http.Serve(listener) }) // ends by close
	return d, nil
}

// close cuts what still waits: the requests behind it go on at the next start.
func (d *demoServer) close() {
	d.scripted.Close()
	_ = d.http.Close()
	d.served.Wait()
}

const (
	demoModel = "demo"
	// demoConcurrency lets benches and tests drive the demo model hard.
	demoConcurrency = 1024
)

// register adds the demo model, and its tools for it alone. A model of that name
// in the file takes its place, and then there are no demo tools; a tool of the
// file takes the place of the demo tool of its name.
func (d *demoServer) register(file *registry.File) {
	tools := map[string]bool{}
	for _, t := range file.Tools {
		tools[t.Name] = true
	}
	for _, m := range file.Models {
		if m.Name == demoModel {
			return
		}
	}
	d.names = []string{demoModel}
	file.Models = append(file.Models, registry.Model{
		Name: demoModel, Upstream: registry.Upstream{URL: "http://" + d.address + "/v1"}, Concurrency: demoConcurrency,
	})
	for _, t := range []registry.Tool{
		{
			Name: "get_weather", Description: "The weather in a city.",
			Parameters: registry.Schema(`{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}`),
		},
		{Name: "mock_echo", Description: "Answers a number that follows from its arguments.", Parameters: registry.Schema(mock.ToolSchema)},
	} {
		if !tools[t.Name] {
			t.URL, t.AllowPrivate, t.Models = "http://"+d.address+"/tools/"+t.Name, true, []string{demoModel}
			d.names = append(d.names, t.Name)
			file.Tools = append(file.Tools, t)
		}
	}
}
