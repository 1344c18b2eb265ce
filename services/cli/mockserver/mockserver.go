// Package mockserver is `windlass mock`: the scripted model and tools of
// package mock on an address.
package mockserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"windlass.dev/windlass/services/cli/internal/address"
	"windlass.dev/windlass/services/mock"
)

// Command serves the scripted model and its tools until it is interrupted.
type Command struct {
	Listen string `help:"Address to serve the scripted model and its tools on." env:"WINDLASS_MOCK_LISTEN" default:"127.0.0.1:8090"`
}

// Help is shown by windlass mock --help.
func (Command) Help() string {
	return `Serves a model and tools that follow a script, for tests, benchmarks and demos:

  POST   /v1/chat/completions  the model: streaming or not
  POST   /v1/responses         the same model, as the Responses API
  POST   /v1/embeddings        vectors computed from the texts
  POST   /v1/completions       the plan's text, or the prompt
  POST   /tools/{name}         tools: any name echoes, get_weather answers the demo
  GET    /ledger?seed=&kind=   every call, with its idempotency key
  DELETE /ledger               delete calls and attempts
  GET    /healthz              answers while it serves

The script travels in the input, as "plan:" and a JSON object in a user message:

  plan: {"seed": 1, "rounds": 3, "width": 5, "think_ms": 50,
         "tool_faults": [{"round": 0, "index": 2, "times": 1, "status": 503}]}

The model named demo needs no plan: ask it for the weather in two cities.

The members of a plan:

` + mock.Describe()
}

// AfterApply is called by kong when every flag has its value.
func (c *Command) AfterApply() (err error) {
	c.Listen, err = address.ParseListen("--listen", c.Listen)
	return err
}

// Run serves until ctx ends, then cuts the calls in flight.
func (c *Command) Run(ctx context.Context) error {
	listener, err := address.Listen(ctx, "--listen", c.Listen)
	if err != nil {
		return err
	}
	scripted := mock.New()
	server := &http.Server{Handler: scripted, ReadHeaderTimeout: 10 * time.Second}
	fmt.Fprintf(os.Stderr, "mock model and tools on http://%s\n", listener.Addr())

	served := make(chan error, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { served <- server.Serve(listener) })

	select {
	case err := <-served:
		return fmt.Errorf("serve on %s: %w", c.Listen, err)
	case <-ctx.Done():
	}
	scripted.Close()
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := server.Shutdown(closing); err != nil {
		return errors.Join(fmt.Errorf("shut down %s: %w", c.Listen, err), server.Close())
	}
	return nil
}
