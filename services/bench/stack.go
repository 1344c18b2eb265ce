package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"windlass.dev/windlass/pkg/localpg"
	"windlass.dev/windlass/pkg/localpg/pgbouncer"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/store/pgstat"
	"windlass.dev/windlass/services/mock"
)

// What the registry of a measurement has.
const (
	modelName       = "bench"
	toolName        = "mock_echo"
	toolDescription = "Answers a number that follows from its arguments."
	apiKey          = "wl-bench"
)

// registryFile has a model and a tool whose limits no measurement reaches.
func registryFile(mockURL, dialect string) string {
	return `models:
  - name: ` + modelName + `
    upstream: {url: "` + mockURL + `/v1", dialect: ` + dialect + `}
    concurrency: 1024
tools:
  - name: ` + toolName + `
    description: ` + toolDescription + `
    url: "` + mockURL + `/tools/` + toolName + `"
    allow_private: true
    parameters: ` + strings.ReplaceAll(mock.ToolSchema, "\n", " ") + `
`
}

// stack is everything a measurement runs against.
type stack struct {
	dir      string
	pg       *localpg.Server
	pooler   *pgbouncer.Server // nil: the services connect to Postgres itself
	settings []pgstat.Setting
	children []*child // in the order of their start
	ids      processes
	started  time.Duration // of the services, from their start to the first answer
	mockURL  string
	natsURL  string
	nats     string // base URL of the NATS server's monitoring
	api      *api
	direct   *direct
	http     *http.Client
}

// startStack starts everything; what was started is stopped again if a part of it fails.
func startStack(ctx context.Context, cfg Config) (_ *stack, err error) {
	s := &stack{ids: processes{loadGroup: os.Getpid()}, http: newHTTP()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	if s.dir, err = os.MkdirTemp(cfg.Dir, "windlass-bench-"); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	// Run by root, Postgres runs as another user, who has to pass through.
	if err := os.Chmod(s.dir, 0o755); err != nil {
		return nil, fmt.Errorf("open the data directory: %w", err)
	}
	if err := s.startPostgres(ctx, cfg); err != nil {
		return nil, err
	}
	if err := s.startServers(ctx, cfg); err != nil {
		return nil, err
	}
	return s, s.startServices(ctx, cfg)
}

// startPostgres runs it with localpg's durable defaults.
func (s *stack) startPostgres(ctx context.Context, cfg Config) (err error) {
	s.pg, err = localpg.Start(ctx, localpg.Config{BinDir: cfg.PGBin, DataDir: filepath.Join(s.dir, "postgres"), Progress: cfg.Progress})
	if errors.Is(err, localpg.ErrOutOfReach) {
		return fmt.Errorf("choose another directory to measure in: %w", err)
	}
	if err != nil {
		return err
	}
	s.ids[postgresGroup] = s.pg.PID()
	if s.settings, err = pgstat.Prepare(ctx, s.pg.URL()); err != nil || !cfg.PgBouncer {
		return err
	}
	s.pooler, err = pgbouncer.Start(ctx, pgbouncer.Config{Target: s.pg.URL(), Dir: s.dir, Size: pooledConns})
	return err
}

// pooledConns is PgBouncer's default for a pool.
const pooledConns = 20

// databaseURL is what the services connect to.
func (s *stack) databaseURL() string {
	if s.pooler != nil {
		return s.pooler.URL()
	}
	return s.pg.URL()
}

func (s *stack) startServers(ctx context.Context, cfg Config) error {
	nats, err := s.start(ctx, cfg, natsGroup, "--dir", filepath.Join(s.dir, "nats"))
	if err != nil {
		return err
	}
	if len(nats.address) != 2 {
		return fmt.Errorf("start %s: it gave %d addresses, want its own and that of its monitoring", natsGroup, len(nats.address))
	}
	s.natsURL, s.nats = nats.address[0], nats.address[1]
	scripted, err := s.start(ctx, cfg, mockGroup)
	if err != nil {
		return err
	}
	s.mockURL = scripted.address[0]
	s.direct = &direct{mock: s.mockURL, http: s.http}
	return nil
}

func (s *stack) startServices(ctx context.Context, cfg Config) error {
	file := filepath.Join(s.dir, "registry.yaml")
	if err := os.WriteFile(file, []byte(registryFile(s.mockURL, cmp.Or(cfg.Dialect, registry.Chat))), 0o600); err != nil {
		return fmt.Errorf("write the registry: %w", err)
	}
	args := []string{
		"--listen=127.0.0.1:0", "--data=" + filepath.Join(s.dir, "services"), "--config=" + file, "--api-key=" + apiKey,
		"--database-url=" + s.databaseURL(), "--nats-url=" + s.natsURL, "--log-level=warn",
	}
	if cfg.CPUProfile != "" {
		args = append(args, "--cpuprofile="+cfg.CPUProfile)
	}
	began := time.Now()
	services, err := s.start(ctx, cfg, servicesGroup, args...)
	if err != nil {
		return err
	}
	s.started = time.Since(began)
	s.api = &api{url: services.address[0], key: apiKey, http: s.http}
	return nil
}

func (s *stack) start(ctx context.Context, cfg Config, name string, args ...string) (*child, error) {
	c, err := startChild(ctx, cfg.Self, name, args...)
	if err != nil {
		return nil, err
	}
	s.children = append(s.children, c)
	s.ids[name] = c.cmd.Process.Pid
	return c, nil
}

// stop ends everything, the last started first, and removes its data.
func (s *stack) stop() error {
	var errs []error
	s.http.CloseIdleConnections()
	for i := len(s.children) - 1; i >= 0; i-- {
		errs = append(errs, s.children[i].stop())
	}
	if s.pooler != nil {
		errs = append(errs, s.pooler.Stop())
	}
	if s.pg != nil {
		ctx, cancel := context.WithTimeout(context.Background(), childStop)
		defer cancel()
		errs = append(errs, s.pg.Stop(ctx, localpg.Immediate)) // its data is of no use to anyone
	}
	if s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}
