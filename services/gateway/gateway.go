package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/pkg/store/conversations"
	keystore "windlass.dev/windlass/pkg/store/idempotency"
	"windlass.dev/windlass/pkg/store/keys"
	"windlass.dev/windlass/pkg/store/limits"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/retention"
	"windlass.dev/windlass/services/gateway/internal/adminapi"
	"windlass.dev/windlass/services/gateway/internal/admission"
	"windlass.dev/windlass/services/gateway/internal/answer"
	"windlass.dev/windlass/services/gateway/internal/auth"
	"windlass.dev/windlass/services/gateway/internal/catalog"
	"windlass.dev/windlass/services/gateway/internal/chatapi"
	"windlass.dev/windlass/services/gateway/internal/conversationapi"
	"windlass.dev/windlass/services/gateway/internal/framing"
	"windlass.dev/windlass/services/gateway/internal/history"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/idempotency"
	"windlass.dev/windlass/services/gateway/internal/origins"
	"windlass.dev/windlass/services/gateway/internal/responseapi"
	"windlass.dev/windlass/services/gateway/internal/socket"
	"windlass.dev/windlass/services/gateway/internal/stream"
	"windlass.dev/windlass/services/gateway/internal/tenants"
	"windlass.dev/windlass/services/gateway/internal/wait"
	"windlass.dev/windlass/services/internal/compaction"
	"windlass.dev/windlass/services/internal/lanes"
)

const (
	headerTimeout = 10 * time.Second
	readTimeout   = 30 * time.Second // of a body that no handler reads; see readBody for the others
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10
	// writeBuffer bounds what the kernel holds for a client that reads slowly.
	writeBuffer = 128 << 10
	// lastWords is how long a drain waits for clients to read its last answers.
	lastWords = 3 * time.Second
)

// Run serves the API until ctx ends. Then it takes no new connections, lets
// waiting clients wait for DrainGrace, tells those that are left where their
// answer will be, and returns when every handler has.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("check the configuration: %w", err)
	}
	if cfg.Registry == nil {
		reg, err := registry.Load(cfg.RegistryFile)
		if err != nil {
			return err
		}
		cfg.Registry = reg
	}
	cfg.Store.Log = cfg.Runtime.Log
	db, err := postgres.Open(cfg.Store)
	if err != nil {
		return err
	}
	defer db.Close()
	b, err := bus.Connect(ctx, cfg.Bus, "gateway", cfg.Runtime.Log, bus.WithMetrics(cfg.Runtime.Metrics))
	if err != nil {
		return err
	}
	defer b.Close(context.WithoutCancel(ctx))
	s, err := newServer(cfg, db, b)
	if err != nil {
		return err
	}
	stop, err := b.OnDone(s.waiters.HandleHint)
	if err != nil {
		return err
	}
	defer stop()
	listener := cfg.Listener
	if listener == nil {
		var lc net.ListenConfig
		if listener, err = lc.Listen(ctx, "tcp", cfg.Listen); err != nil {
			return fmt.Errorf("listen for the API: %w", err)
		}
	}
	cfg.Runtime.Health.Check("gateway.postgres", db.Ping)
	defer cfg.Runtime.DatabaseUp(db.Up)()
	return s.serve(ctx, listener)
}

func newServer(cfg Config, db *postgres.DB, b *bus.Bus) (*server, error) {
	seals, err := compaction.ReadKeys(cfg.SealKeys)
	if err != nil {
		return nil, fmt.Errorf("read WINDLASS_SEAL_KEYS: %w", err)
	}
	allowed, err := origins.Parse(cfg.CORSOrigins)
	if err != nil {
		return nil, fmt.Errorf("read WINDLASS_CORS_ORIGINS: %w", err)
	}
	st, apiKeys, budgets := store.New(db), keys.New(db), limits.New(db)
	stored, talks := answers.New(db), conversations.New(db)
	log, metrics, deadline := cfg.Runtime.Log, cfg.Runtime.Metrics, cfg.Registry.Limits().Deadline
	s := &server{leaving: make(chan struct{}), grace: cfg.DrainGrace, log: log}
	s.api = httpapi.New(httpapi.Options{
		Log: log, Metrics: metrics, MaxBody: cfg.MaxBody, Memory: cfg.Runtime.Memory, Origins: allowed,
		Hosts: hostsOf(cfg.Hosts), Tasks: &s.tasks,
	})
	s.auth = auth.New(auth.Options{
		APIKey: cfg.APIKey, Pepper: cfg.KeyPepper, Find: apiKeys.Read, Tasks: &s.tasks, Log: log,
	})
	s.keys = adminapi.New(apiKeys, cfg.KeyPepper, &s.tasks, log)
	refusals := admission.NewRefusalCache()
	s.tenants = tenants.New(cfg.Registry, cfg.RegistryFile, log, func(ctx context.Context, limited []string) error {
		defer refusals.Clear()
		return budgets.StopCharging(ctx, limited)
	})
	s.models = catalog.NewModels(catalog.ModelsOptions{
		Registry: cfg.Registry, Tenants: s.tenants, Log: log, Metrics: metrics, Tasks: &s.tasks, Leaving: s.leaving,
	})
	rules := &admission.Rules{Registry: cfg.Registry, Models: s.models, Seals: seals, MaxBody: cfg.MaxBody}
	canceller := wait.NewCanceller(st, b, &s.tasks, log)
	s.waiters = wait.NewWaiters(stored, canceller, cfg.PollInterval, &s.tasks, log)
	gate := admission.NewGate(admission.GateOptions{
		Store: st, Bus: b, Lanes: lanes.New(b, log, cfg.Registry.Lanes()), Tenants: s.tenants, Refusals: refusals,
		Budgets:    budgets,
		BacklogMax: cfg.BacklogMax, Canceller: canceller, Metrics: metrics, Tasks: &s.tasks, Log: log,
	})
	streams := stream.New(stream.Options{
		Archives: stored, Bus: b, Waiters: s.waiters, Canceller: canceller, Poll: cfg.PollInterval, Deadline: deadline,
		Tasks: &s.tasks, Log: log, Memory: cfg.Runtime.Memory,
	})
	answers := answer.New(gate, s.waiters, streams)
	histories := history.New(db, rules, cfg.MaxBody, &s.tasks)
	s.once = idempotency.New(idempotency.Options{
		Store: keystore.New(db), Rules: rules, Waiters: s.waiters, Streams: streams, Answers: answers,
		Deadline: deadline, Tasks: &s.tasks, Log: log,
	})
	s.conversations = conversationapi.New(talks, histories, &s.tasks)
	s.chat = chatapi.New(chatapi.Options{
		Store: st, Models: s.models, Answers: answers, Waiters: s.waiters, Deadline: deadline, Tasks: &s.tasks,
	})
	s.creator = responseapi.NewCreator(responseapi.CreatorOptions{
		Rules: rules, History: histories, Gate: gate, Waiters: s.waiters, Streams: streams, Answers: answers,
		Deadline: deadline,
	})
	s.responses = responseapi.New(responseapi.Options{
		Store: st, Stored: stored, Conversations: talks, Retention: retention.New(db), Bus: b, Waiters: s.waiters,
		Canceller: canceller, Streams: streams, Answers: answers, Seals: seals, Tasks: &s.tasks, Log: log,
	})
	s.sockets = socket.New(socket.Options{
		Auth: s.auth, API: s.api, Rules: rules, History: histories, Creator: s.creator, Gate: gate,
		Memory: cfg.Runtime.Memory, Life: cfg.SocketLife, Leaving: s.leaving, Log: log,
	})
	return s, nil
}

// serve returns when the listener failed or ctx ended, and in both cases after
// the last handler.
func (s *server) serve(ctx context.Context, listener net.Listener) error {
	base, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	hs := &http.Server{
		Handler:           s.handler(),
		ConnContext:       boundWrites,
		ConnState:         framing.ConnState,
		BaseContext:       func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      httpapi.WriteTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          zap.NewStdLog(s.log.WithOptions(zap.IncreaseLevel(zap.WarnLevel))),
	}
	watch, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var running sync.WaitGroup
	running.Go(func() { s.waiters.Poll(watch) })
	running.Go(func() { s.tenants.Follow(watch) })
	failed := make(chan error, 1)
	running.Go(func() { failed <- hs.Serve(framing.Listener(listener)) })

	var err error
	select {
	case err = <-failed:
		err = fmt.Errorf("serve the API: %w", err)
	case <-ctx.Done():
	}
	s.drain(ctx, hs, cut)
	stop()
	running.Wait()
	s.tasks.Wait()
	return err
}

// hostsOf returns the names of WINDLASS_HOSTS; without any, every name is
// allowed.
func hostsOf(names []string) process.Hosts {
	if len(names) == 0 {
		return process.Hosts{}
	}
	return process.OnlyHosts(names...)
}

// boundWrites keeps a slow reader's backlog here, where it is bounded, and not
// in the kernel's buffers, which grow to megabytes each.
func boundWrites(ctx context.Context, conn net.Conn) context.Context {
	if framed, ok := conn.(*framing.Conn); ok {
		conn = framed.Conn
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(writeBuffer) // a connection that refuses is as good as it was
	}
	return ctx
}

// drain ends the HTTP server. Handlers that outlast the grace see ErrDraining
// as their context's cause.
func (s *server) drain(ctx context.Context, hs *http.Server, cut context.CancelCauseFunc) {
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.grace)
	defer cancel()
	close(s.leaving)
	if hs.Shutdown(grace) == nil && s.noSockets(grace) { // the HTTP server does not know WebSockets
		return
	}
	cut(process.ErrDraining)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	if err := hs.Shutdown(last); err != nil {
		_ = hs.Close() // a client that has not read its answer by now has gone
		if !errors.Is(err, context.DeadlineExceeded) {
			s.log.Warn("connections closed hard", zap.Error(err))
		}
	}
}

// noSockets waits for the ends of all WebSockets; false: ctx ended first.
func (s *server) noSockets(ctx context.Context) bool {
	none := make(chan struct{})
	s.tasks.Go(func() {
		s.sockets.Wait()
		close(none)
	})
	select {
	case <-none:
		return true
	case <-ctx.Done():
		return false
	}
}
