package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/internal/mock"
)

// demoServer serves the demo model and its tools on a free port.
type demoServer struct {
	scripted *mock.Server
	http     *http.Server
	address  string
	served   sync.WaitGroup
}

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

// register adds the demo model and tools, unless the file has some of the same name.
func (d *demoServer) register(file *registry.File) {
	models, tools := map[string]bool{}, map[string]bool{}
	for _, m := range file.Models {
		models[m.Name] = true
	}
	for _, t := range file.Tools {
		tools[t.Name] = true
	}
	if !models[demoModel] {
		file.Models = append(file.Models, registry.Model{
			Name: demoModel, Upstream: registry.Upstream{URL: "http://" + d.address + "/v1"}, Concurrency: demoConcurrency,
		})
	}
	for _, t := range []registry.Tool{
		{
			Name: "get_weather", Description: "The weather in a city.",
			Parameters: registry.Schema(`{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}`),
		},
		{Name: "mock_echo", Description: "Answers a number that follows from its arguments.", Parameters: registry.Schema(mock.ToolSchema)},
	} {
		if !tools[t.Name] {
			t.URL, t.AllowPrivate = "http://"+d.address+"/tools/"+t.Name, true
			file.Tools = append(file.Tools, t)
		}
	}
}

// greet waits until the API answers and prints how to use it.
func (d *dev) greet(ctx context.Context, began time.Time) error {
	base := "http://" + d.api.Addr().String()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/v1/models", nil)
		if err != nil {
			return fmt.Errorf("ask the API: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+d.APIKey)
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK && d.rt.Health.Ready(ctx) == nil {
				break
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(20 * time.Millisecond):
		}
	}
	fmt.Fprintf(os.Stdout, greeting, base, time.Since(began).Seconds(), d.NATSURL, base, d.APIKey)
	return nil
}

const greeting = `
Windlass is ready on %s (%.1f s). NATS: %s

curl %s/v1/responses -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' -d '{
  "model": "demo",
  "input": "What is the weather in Paris and Tokyo?",
  "tools": [{"type": "mcp", "server_label": "windlass"}]
}'
`
