package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/bustest"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/pkg/store/idempotency"
	"windlass.dev/windlass/pkg/store/keys"
	"windlass.dev/windlass/pkg/store/migrations"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/retention"
	"windlass.dev/windlass/pkg/store/storetest"
	"windlass.dev/windlass/services/gateway/internal/auth"
	"windlass.dev/windlass/services/internal/apikey"
)

const (
	testKey = "wl-test-key"
	// patienceOfTests bounds every wait in a test; what it waits for takes
	// milliseconds.
	patienceOfTests = 20 * time.Second
)

const (
	compactPath     = "/v1/" + string(run.Compact)
	inputTokensPath = "/v1/" + string(run.InputTokens)
)

// The limits of a WebSocket.
const (
	activeOfSocket  = 16
	streamsOfSocket = 32
	waitingOfSocket = 64
	bodiesOfSocket  = 4
)

// How public ids begin.
const (
	idPrefix           = "resp_"
	callPrefix         = "req_"
	conversationPrefix = "conv_"
)

// testSeal seals what compaction items hold.
const testSeal = "seal of the tests"

var testPepper = apikey.Pepper("pepper of the tests")

func TestMain(m *testing.M) {
	// pgxpool's health check ends a moment after Close returned.
	goleak.VerifyTestMain(storetest.Suite{M: m},
		goleak.IgnoreAnyFunction("github.com/jackc/pgx/v5/pgxpool.(*Pool).backgroundHealthCheck"))
}

func migrate(ctx context.Context, url string) error {
	_, err := migrations.Apply(ctx, url)
	return err
}

// stand is a gateway with everything around it; the test plays the rest of the
// pipeline through store and bus.
type stand struct {
	tb  testing.TB
	url string
	// database is its URL, for statements that no service runs.
	database    string
	db          *postgres.DB
	answers     *answers.Store
	apiKeys     *keys.Store
	idempotency *idempotency.Store
	retention   *retention.Store
	store       *store.Store
	bus         *bus.Bus
	nats        *bustest.Broker
	logs        *observer.ObservedLogs
	rt          *process.Runtime
	drain       context.CancelCauseFunc
	ended       chan error // what Run returned
	http        *http.Client
}

// raise starts a gateway on a database and a NATS server of its own. change
// alters its configuration.
func raise(tb testing.TB, change ...func(*Config)) *stand {
	tb.Helper()
	broker := bustest.NewBroker(tb)
	s := &stand{tb: tb, nats: broker, bus: bustest.Connect(tb, broker), ended: make(chan error, 1)}
	cfg := s.config(change)
	db, err := postgres.Open(cfg.Store)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(db.Close)
	st := store.New(db)
	s.db, s.store, s.answers, s.apiKeys = db, st, answers.New(db), keys.New(db)
	s.idempotency, s.retention = idempotency.New(db), retention.New(db)
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(tb.Context()))
	s.drain = cancel
	go func() { s.ended <- Run(ctx, cfg) }()
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	s.http = &http.Client{Transport: transport, Timeout: patienceOfTests}
	tb.Cleanup(func() {
		transport.CloseIdleConnections()
		cancel(process.ErrDraining)
		s.waitEnd()
	})
	return s
}

func (s *stand) config(change []func(*Config)) Config {
	s.tb.Helper()
	var lc net.ListenConfig
	listener, err := lc.Listen(s.tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		s.tb.Fatal(err)
	}
	s.url = "http://" + listener.Addr().String()
	core, logs := observer.New(zapcore.InfoLevel)
	s.logs = logs
	s.rt = process.NewRuntime("gateway", process.Config{MemoryMax: 2 << 30}, zap.New(core)) // for bodies of 32 MiB
	cfg := Config{
		Store: postgres.Config{MaxConns: 4}, Bus: bustest.Config(s.nats), Registry: models(s.tb, 0), Runtime: s.rt, APIKey: testKey,
		KeyPepper: string(testPepper), SealKeys: testSeal,
		MaxBody: 16 << 20, BacklogMax: 1000, PollInterval: time.Hour, DrainGrace: 50 * time.Millisecond, Listener: listener,
	}
	for _, c := range change {
		c(&cfg)
	}
	if cfg.Store.URL == "" {
		cfg.Store.URL = storetest.Database(s.tb, migrate)
	}
	s.database = cfg.Store.URL
	return cfg
}

func (s *stand) waitEnd() {
	s.tb.Helper()
	select {
	case err := <-s.ended:
		if err != nil {
			s.tb.Errorf("Run = %v, want nil", err)
		}
		s.ended <- nil // for the clean-up, if a test asked first
	case <-time.After(patienceOfTests):
		s.tb.Errorf("Run has not returned %v after the drain began", patienceOfTests)
	}
}

func models(tb testing.TB, deadline time.Duration) *registry.Registry {
	tb.Helper()
	r, err := registry.New(registry.File{
		Models: []registry.Model{
			{Name: "m", Upstream: registry.Upstream{URL: "http://127.0.0.1:1/v1"}},
			{Name: "b", Upstream: registry.Upstream{URL: "http://127.0.0.1:1/v1"}},
		},
		Limits: registry.Limits{Deadline: deadline},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// reply is an HTTP answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// object is the body as JSON.
func (r reply) object(tb testing.TB) map[string]any {
	tb.Helper()
	var o map[string]any
	if err := json.Unmarshal(r.body, &o); err != nil {
		tb.Fatalf("answer %d is not JSON: %v: %s", r.status, err, r.body)
	}
	return o
}

// fault is the error envelope's content.
func (r reply) fault(tb testing.TB) map[string]any {
	tb.Helper()
	o, ok := r.object(tb)["error"].(map[string]any)
	if !ok {
		tb.Fatalf("answer %d has no error object: %s", r.status, r.body)
	}
	return o
}

// call sends a request with the key.
func (s *stand) call(method, path, body string) reply {
	s.tb.Helper()
	return s.send(s.request(s.tb.Context(), method, path, body))
}

// as sends a request with another key.
func (s *stand) as(key, method, path, body string) reply {
	s.tb.Helper()
	r := s.request(s.tb.Context(), method, path, body)
	r.Header.Set("Authorization", "Bearer "+key)
	return s.send(r)
}

// mint makes a key and keeps it, as windlass keys create does.
func (s *stand) mint(tenant string, change ...func(*keys.NewKey)) (key string, id string) {
	s.tb.Helper()
	k := testPepper.New()
	n := keys.NewKey{ID: k.ID, Tenant: tenant, Hash: testPepper.Hash(k.Secret), Scopes: []string{apikey.ScopeResponses}}
	for _, c := range change {
		c(&n)
	}
	if _, err := s.apiKeys.Create(s.tb.Context(), n); err != nil {
		s.tb.Fatal(err)
	}
	return k.String(), k.ID
}

func (s *stand) request(ctx context.Context, method, path, body string) *http.Request {
	s.tb.Helper()
	r, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.tb.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+testKey)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func (s *stand) send(r *http.Request) reply {
	s.tb.Helper()
	resp, err := s.http.Do(r)
	if err != nil {
		s.tb.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.tb.Fatalf("read the answer to %s %s: %v", r.Method, r.URL.Path, err)
	}
	return reply{resp.StatusCode, resp.Header, body}
}

// later sends a request and gives its answer when it is there.
func (s *stand) later(method, path, body string) <-chan reply {
	return s.laterSend(s.request(s.tb.Context(), method, path, body))
}

func (s *stand) laterSend(r *http.Request) <-chan reply {
	method, path := r.Method, r.URL.Path
	answers := make(chan reply, 1)
	go func() {
		defer close(answers)
		resp, err := s.http.Do(r)
		if err != nil {
			s.tb.Errorf("%s %s: %v", method, path, err)
			return
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			s.tb.Errorf("read the answer to %s %s: %v", method, path, err)
		}
		answers <- reply{resp.StatusCode, resp.Header, body}
	}()
	return answers
}

func receive(tb testing.TB, answers <-chan reply) reply {
	tb.Helper()
	select {
	case r, ok := <-answers:
		if !ok {
			tb.FailNow()
		}
		return r
	case <-time.After(patienceOfTests):
		tb.Fatal("no answer in time")
	}
	return reply{}
}

// eventually polls until ok.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patienceOfTests)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			tb.Fatalf("%s did not come about in %v", what, patienceOfTests)
		}
	}
}

// background creates a background response and returns its public id.
func (s *stand) background() string {
	s.tb.Helper()
	r := s.call("POST", "/v1/responses", `{"model":"m","input":"hi","background":true}`)
	if r.status != http.StatusOK {
		s.tb.Fatalf("background create answered %d: %s", r.status, r.body)
	}
	return r.object(s.tb)["id"].(string)
}

// claim waits for a queued request and opens its first turn, as the claimer
// does.
func (s *stand) claim() run.Row {
	s.tb.Helper()
	var row run.Row
	eventually(s.tb, "a claim", func() bool {
		rows, err := s.store.Claim(s.tb.Context(), []store.Slots{{Lane: "m", Free: 1}})
		if err != nil {
			s.tb.Fatal(err)
		}
		if len(rows) == 1 {
			row = rows[0]
		}
		return len(rows) == 1
	})
	return row
}

// commit records a turn, as the orchestrator does.
func (s *stand) commit(row run.Row, t run.TurnCommit) run.Row {
	s.tb.Helper()
	t.Fence = run.Fence{ID: row.ID, Epoch: row.Epoch, Turn: row.Turn, Attempt: row.Attempt}
	after, err := s.store.CommitTurn(s.tb.Context(), row, t)
	if err != nil {
		s.tb.Fatal(err)
	}
	return after
}

// finish decides a claimed request and settles it, as the finalizer does,
// without a word to anybody.
func (s *stand) finish(row run.Row, outcome run.Status, final string) {
	s.tb.Helper()
	s.commit(row, run.TurnCommit{Outcome: outcome, Output: []byte(`[]`)})
	err := s.store.Settle(s.tb.Context(), store.Settlement{
		ID: row.ID, Tenant: auth.DefaultTenant, Epoch: row.Epoch, Status: outcome, Answer: []byte(final), AfterWork: true,
	})
	if err != nil {
		s.tb.Fatal(err)
	}
}

func (s *stand) backlog() int {
	s.tb.Helper()
	n, err := s.store.Backlog(s.tb.Context(), 1000)
	if err != nil {
		s.tb.Fatal(err)
	}
	return n
}

func (s *stand) look(id uuid.UUID) run.Row {
	s.tb.Helper()
	row, err := s.store.Look(s.tb.Context(), id)
	if err != nil {
		s.tb.Fatal(err)
	}
	return row
}

func (s *stand) lookPublic(public string) run.Row {
	s.tb.Helper()
	id, ok := run.ResponseID.Parse(public)
	if !ok {
		s.tb.Fatalf("%q is not a response id", public)
	}
	return s.look(id)
}

// tap is a TCP proxy before Postgres that can swallow what the server says, as
// a half-open connection or a lost answer does.
type tap struct {
	tb     testing.TB
	server string
	addr   string
	mu     sync.Mutex
	shut   bool
	conns  []net.Conn
}

func newTap(tb testing.TB, server string) *tap {
	tb.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &tap{tb: tb, server: server, addr: l.Addr().String()}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { p.carry(client) })
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		p.cut()
		all.Wait()
	})
	return p
}

func (p *tap) carry(client net.Conn) {
	var d net.Dialer
	server, err := d.DialContext(context.WithoutCancel(p.tb.Context()), "tcp", p.server)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	p.conns = append(p.conns, client, server)
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(server, client); _ = server.Close() })
	both.Go(func() { _, _ = io.Copy(client, silencer{p, server}); _ = client.Close() })
	both.Wait()
}

// silencer reads on while the tap is shut, and passes nothing.
type silencer struct {
	p *tap
	net.Conn
}

func (s silencer) Read(b []byte) (int, error) {
	for {
		n, err := s.Conn.Read(b)
		s.p.mu.Lock()
		shut := s.p.shut
		s.p.mu.Unlock()
		if err != nil || !shut {
			return n, err
		}
	}
}

// close swallows the server's words from here on.
func (p *tap) close() { p.mu.Lock(); p.shut = true; p.mu.Unlock() }

// open lets new words through again, on new connections: the old ones have lost
// theirs.
func (p *tap) open() {
	p.cut()
	p.mu.Lock()
	p.shut = false
	p.mu.Unlock()
}

func (p *tap) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

// same compares two JSON texts byte for byte.
func same(tb testing.TB, what string, got []byte, want string) {
	tb.Helper()
	if !bytes.Equal(got, []byte(want)) {
		tb.Errorf("%s is\n%s\nwant\n%s", what, got, want)
	}
}

// acceptsRequests reports whether a POST to the route accepts a request.
func acceptsRequests(pattern string) bool {
	return slices.ContainsFunc(run.Endpoints(), func(e run.Endpoint) bool { return e.Path() == pattern })
}
