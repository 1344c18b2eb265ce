//go:build realmodel

package realmodel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"
)

// patience bounds every wait, on a busy machine.
const patience = 3 * time.Minute

// The names of the models in dev's registry.
const (
	llamaChat      = "llama-chat"      // llama-server by chat completions
	llamaResponses = "llama-responses" // llama-server by the Responses API
	pythonChat     = "python-chat"     // llama-cpp-python's server
)

// maxTurns is dev's budget of model calls in one request.
const maxTurns = 5

// world is all processes. A nil world can be stopped.
type world struct {
	api     string
	llama   string // address of llama-server itself
	weather *httptest.Server
	asked   atomic.Int64 // calls of the tool
	running []*process
}

// process is a program and its result.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
	log   *os.File
}

func start(ctx context.Context, k kit, windlass, dir string) (*world, error) {
	w := &world{}
	w.weather = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		w.asked.Add(1)
		rw.Header().Set("Content-Type", "application/json")
		fmt.Fprint(rw, `{"city": "Paris", "temperature_c": 15, "sky": "cloudy"}`)
	}))
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ports, err := freePorts(ctx, 3)
	if err != nil {
		return w, err
	}
	w.llama, w.api = "http://127.0.0.1:"+ports[0], "http://127.0.0.1:"+ports[2]
	python := "http://127.0.0.1:" + ports[1]
	// One thread for each server: threads that wait for each other are slow on
	// a busy machine. By default a new request to the Python server interrupts
	// an earlier stream, which then ends by [DONE] without an error.
	llama := exec.Command(k.llamaServer(), "--model", k.model(), "--host", "127.0.0.1", "--port", ports[0],
		"--ctx-size", "8192", "--parallel", "2", "--threads", "1", "--jinja", "--no-webui")
	server := exec.Command(k.python(), "-m", "llama_cpp.server", "--model", k.model(), "--n_ctx", "4096",
		"--n_threads", "1",
		"--n_threads_batch", "1", "--interrupt_requests", "false",
		"--chat_format", "chatml-function-calling", "--host", "127.0.0.1", "--port", ports[1])
	server.Env = append(os.Environ(), "PYTHONPATH="+k.sources()) //nolint:forbidigo // the environment of a child
	registry := filepath.Join(dir, "registry.yaml")
	text := fmt.Sprintf(registryText, w.llama, w.llama, python, w.weather.URL, maxTurns)
	if err := os.WriteFile(registry, []byte(text), 0o644); err != nil {
		return w, err
	}
	dev := exec.Command(windlass, "dev", "--api-key", "wl-dev", "--data", filepath.Join(dir, "data"), "--listen", ports[2], "--nats-listen", "0",
		"--config", registry, "--log-level", "info")
	return w, errors.Join(
		w.run(ctx, dir, llama, w.llama+"/health"),
		w.run(ctx, dir, server, python+"/v1/models"),
		w.run(ctx, dir, dev, w.api+"/v1/models"),
	)
}

// registryText sets only the profile: it must imply what these servers need.
const registryText = `
models:
  - {name: llama-chat, upstream: {url: "%s/v1", model: smollm2, profile: llamacpp}}
  - {name: llama-responses, upstream: {url: "%s/v1", model: smollm2, profile: llamacpp, dialect: responses}}
  - {name: python-chat, upstream: {url: "%s/v1", model: smollm2, profile: llamacpp}}
tools:
  - name: get_weather
    description: The weather in a city.
    parameters: {type: object, properties: {city: {type: string}}, required: [city]}
    url: "%s/"
    allow_private: true
limits: {max_turns: %d}
`

// run starts a program and waits until it answers. Its output goes to a file,
// whose end is shown if the program does not answer.
func (w *world) run(ctx context.Context, dir string, cmd *exec.Cmd, ready string) error {
	name := filepath.Base(cmd.Path)
	log, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	p := &process{cmd: cmd, ended: make(chan struct{}), log: log}
	w.running = append(w.running, p)
	go func() { _ = cmd.Wait(); close(p.ended) }()
	for !answers(ctx, ready) {
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended at its start:\n%s", name, p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s did not answer in %s:\n%s", name, patience, p.tail())
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

func answers(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	req.Header.Set("Authorization", "Bearer wl-dev")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func (p *process) tail() string {
	text, err := os.ReadFile(p.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}

// stop ends all processes, dev first.
func (w *world) stop() {
	if w == nil {
		return
	}
	for i := len(w.running) - 1; i >= 0; i-- {
		p := w.running[i]
		_ = p.cmd.Process.Signal(os.Interrupt)
		select {
		case <-p.ended:
		case <-time.After(20 * time.Second):
			_ = p.cmd.Process.Kill()
			<-p.ended
		}
		_ = p.log.Close()
	}
	w.weather.Close()
}

// freePorts returns ports that are free now.
func freePorts(ctx context.Context, n int) (ports []string, err error) {
	for range n {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // held until all are known, so that no port is returned twice
		ports = append(ports, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
	return ports, nil
}
