//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/localpg"
	"windlass.dev/windlass/pkg/store/migrations"
	"windlass.dev/windlass/pkg/store/roletest"
	"windlass.dev/windlass/services/mock"
)

const (
	apiKey      = "e2e-key"
	dispatchKey = "e2e-dispatch-key-0123456789"
	sealKey     = "e2e-seal-key-0123456789"
	model       = "scripted"
	native      = "native" // the same model, by the Responses API
	logTail     = 12       // lines shown of each log of a failed test
)

// world is a whole Windlass of real processes, with the scripted model and
// tools inside the test.
type world struct {
	t        *testing.T
	dir      string
	mock     *mock.Server
	pg       *localpg.Server
	database localpg.Config
	url      string // of the database, for the test itself
	roles    roletest.Roles
	front    func(url string) string
	nats     *broker
	services map[string]*process
	env      []string
	api      *client
}

// newWorld starts everything and waits until it is ready. more is added to the
// environment of all services.
func newWorld(t *testing.T, more ...string) *world {
	t.Helper()
	return newWorldBehind(t, func(url string) string { return url }, more...)
}

// newWorldBehind is newWorld with services that reach the database by another
// URL, which front makes from the server's URL.
func newWorldBehind(t *testing.T, front func(url string) string, more ...string) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "wl-e2e-") //nolint:usetesting // Postgres cannot enter t.TempDir() under root
	if err == nil {
		err = os.Chmod(dir, 0o755) // under root, Postgres has its own account
	}
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: dir, services: map[string]*process{}}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	w.startMock()
	w.database = localpg.Config{DataDir: filepath.Join(dir, "postgres")}
	w.startPostgres()
	if _, err := migrations.Apply(t.Context(), w.url); err != nil {
		t.Fatalf("migrate: %v", err)
	}
	w.nats = newBroker(t, dir)
	t.Cleanup(w.nats.stop)
	w.nats.start(t)
	w.nats.awaitReady(t)
	w.roles, w.front = roletest.Granted(t, w.url), front
	listen := address(freePort(t))
	w.env = append([]string{
		env("WINDLASS_NATS_URL", w.nats.url), env("WINDLASS_DISPATCH_KEY", dispatchKey),
		env("WINDLASS_API_KEY", apiKey), env("WINDLASS_LISTEN", listen), env("WINDLASS_REGISTRY", filepath.Join(dir, "registry.yaml")),
		env("WINDLASS_SEAL_KEYS", sealKey), env("WINDLASS_STEP_MAX_BYTES", 4<<30), env("WINDLASS_TOOL_SLOTS", 256),
	}, more...)
	w.api = newClient("http://" + listen)
	t.Cleanup(w.tellOfFailure)
	for _, name := range services {
		w.add(name, name).start(t)
	}
	for _, name := range services {
		w.services[name].awaitReady(t)
	}
	return w
}

func (w *world) startMock() {
	w.mock = mock.New()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	hs := &http.Server{Handler: w.mock, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan struct{})
	go func() { _ = hs.Serve(listener); close(served) }()
	w.t.Cleanup(func() { w.mock.Close(); _ = hs.Close(); <-served })
	schema := strings.Join(strings.Fields(mock.ToolSchema), " ")
	file := fmt.Sprintf(`models:
  - {name: %s, upstream: {url: "http://%s/v1"}, concurrency: 256}
  - {name: %s, upstream: {url: "http://%s/v1", dialect: responses}, concurrency: 256}
tools:
  - name: mock_echo
    description: Answers a number that follows from its arguments.
    url: "http://%s/tools/mock_echo"
    allow_private: true
    parameters: %s
`, model, listener.Addr(), native, listener.Addr(), listener.Addr(), schema)
	if err := os.WriteFile(filepath.Join(w.dir, "registry.yaml"), []byte(file), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// startPostgres starts the server, first on a free port, later on the same
// port.
func (w *world) startPostgres() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	first := w.pg == nil
	pg, err := localpg.Start(ctx, w.database)
	if err != nil {
		w.t.Fatalf("start Postgres: %v", err)
	}
	w.pg, w.url, w.database.Port = pg, pg.URL(), pg.Port()
	if first {
		w.t.Cleanup(func() { w.stopPostgres(localpg.Immediate) })
	}
}

func (w *world) stopPostgres(mode localpg.Mode) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := w.pg.Stop(ctx, mode); err != nil {
		w.t.Errorf("stop Postgres: %v", err)
	}
}

// add prepares a process of a service. A second process of a service needs
// another name.
func (w *world) add(name, service string) *process {
	admin := address(freePort(w.t))
	p := &process{
		name: name, path: filepath.Join(binaries, service), log: filepath.Join(w.dir, name+".log"),
		env: append([]string{env("WINDLASS_ADMIN_LISTEN", admin)}, w.env...),
		ready: func(ctx context.Context) bool {
			return answers(ctx, "http://"+admin+"/readyz")
		},
	}
	if service != "tool-runner" { // it has no database
		p.env = append([]string{env("WINDLASS_DATABASE_URL", w.front(w.roles.URL(w.t, service)))}, p.env...)
	}
	w.services[name] = p
	w.t.Cleanup(p.stop)
	return p
}

// addSecond starts a second process of each service.
func (w *world) addSecond(t *testing.T) {
	t.Helper()
	for _, name := range services {
		p := w.add(name+second, name)
		if name == "gateway" {
			p.env = append(p.env, env("WINDLASS_LISTEN", address(freePort(t))))
		}
		p.start(t)
		p.awaitReady(t)
	}
}

// restart starts a service that has ended and waits until it is ready.
func (w *world) restart(name string, more ...string) *life {
	w.t.Helper()
	l := w.services[name].start(w.t, more...)
	w.services[name].awaitReady(w.t)
	return l
}

func (w *world) tellOfFailure() {
	if !w.t.Failed() {
		return
	}
	for name, p := range w.services {
		w.t.Logf("the end of %s's log:\n%s", name, p.tail(logTail))
	}
}
