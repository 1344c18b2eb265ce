package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"windlass.dev/windlass/pkg/budget"
)

const adminShutdown = 2 * time.Second

// Runtime is what a process gives to the services in it. Safe for concurrent
// use; only Hosts may be written after NewRuntime, before the first For.
type Runtime struct {
	Name    string
	Config  Config
	Log     *zap.Logger // with the field service
	Health  *Health
	Hosts   Hosts // under which the admin endpoints may be called
	Metrics *prometheus.Registry
	Memory  *budget.Budget // what clients and upstreams may make the process hold

	log *zap.Logger // without it
}

// NewRuntime returns a Runtime with a new Health and a registry that holds the
// Go and process collectors. log must not have the field service: the Runtime
// adds it. Main calls this, and so do tests of services.
func NewRuntime(name string, cfg Config, log *zap.Logger) *Runtime {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	memory := budget.New(budgetOf(cfg.MemoryMax), reg)
	rt := &Runtime{Config: cfg, Health: NewHealth(), Metrics: reg, Memory: memory, log: log}
	return rt.For(name)
}

// For returns a Runtime for one of several services in a process: its own name
// in the logs, everything else shared.
func (rt *Runtime) For(service string) *Runtime {
	of := *rt
	of.Name = service
	of.Log = rt.log.With(zap.String("service", service))
	return &of
}

// Serve runs the parts, and answers /livez, /readyz and /metrics on
// Config.AdminListen while they run. When ctx ends it makes the process unready
// and goes on answering until the last part has returned. The first error, a
// part's or the listener's, cancels the other parts. Without parts it blocks
// until ctx ends.
func (rt *Runtime) Serve(ctx context.Context, parts ...func(context.Context) error) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", rt.Config.AdminListen)
	if err != nil {
		return fmt.Errorf("listen for admin endpoints: %w", err)
	}
	return rt.ServeOn(ctx, listener, parts...)
}

// ServeOn is Serve with a listener of the caller's, which it closes.
func (rt *Runtime) ServeOn(ctx context.Context, listener net.Listener, parts ...func(context.Context) error) error {
	stop := context.AfterFunc(ctx, rt.Health.Drain)
	defer stop()
	if len(parts) == 0 {
		parts = append(parts, func(ctx context.Context) error { <-ctx.Done(); return nil })
	}
	server := rt.admin()
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve admin endpoints: %w", err)
		}
		return nil
	})
	all.Go(func() error {
		work, ctx := errgroup.WithContext(ctx)
		for _, part := range parts {
			work.Go(func() error { return part(ctx) })
		}
		err := work.Wait()

		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), adminShutdown)
		defer cancel()
		if server.Shutdown(closing) != nil {
			_ = server.Close() // a probe that does not end is not worth waiting for
		}
		return err
	})
	return all.Wait()
}

// admin returns the server of the admin endpoints. Its timeouts bound what a
// slow or silent client can hold.
func (rt *Runtime) admin() *http.Server {
	mux := http.NewServeMux()
	var unready unreadyLog
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		err := rt.Health.Ready(r.Context())
		unready.log(rt.Log, err)
		if err != nil {
			http.Error(w, publicText(err), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(rt.Metrics, promhttp.HandlerOpts{Registry: rt.Metrics}))
	return &http.Server{
		Handler:           rt.Hosts.require(mux),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          zap.NewStdLog(rt.Log),
	}
}

// unreadyLog logs why a process is not ready, once for each reason: /readyz
// does not say it in full.
type unreadyLog struct {
	mu     sync.Mutex
	reason string
}

func (u *unreadyLog) log(log *zap.Logger, err error) {
	reason := ""
	if err != nil && !errors.Is(err, ErrDraining) && !errors.Is(err, ErrStarting) {
		reason = err.Error()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if reason == u.reason {
		return
	}
	u.reason = reason
	if reason == "" {
		log.Info("ready")
		return
	}
	log.Warn("not ready", zap.Error(err))
}
