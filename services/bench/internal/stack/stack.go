// Package stack starts everything that a measurement runs against, in child
// processes, and reads its counters.
package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"windlass.dev/windlass/pkg/localpg"
	"windlass.dev/windlass/pkg/localpg/pgbouncer"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/store/pgstat"
	"windlass.dev/windlass/services/bench/internal/client"
	"windlass.dev/windlass/services/bench/internal/processes"
)

// Config says what to start.
type Config struct {
	// Self is the command line that, with a part's name (nats, mock, services)
	// and flags after it, runs that part.
	Self       []string
	Dir        string // parent of the data directory; the system's temporary directory if empty
	PGBin      string // directory of the Postgres binaries; the usual places if empty
	PgBouncer  bool   // between the services and Postgres
	Dialect    string // of the model's upstream; chat completions if empty
	CPUProfile string // file for a profile of the services, if not empty
	Progress   io.Writer
}

// Stack is everything a measurement runs against.
type Stack struct {
	Dir      string
	PG       *localpg.Server
	pooler   *pgbouncer.Server // nil: the services connect to Postgres itself
	Settings []pgstat.Setting
	children []*child // in the order of their start
	IDs      processes.Set
	StartUp  time.Duration // of the services, from their start to the first answer
	MockURL  string
	natsURL  string
	nats     string // base URL of the NATS server's monitoring
	API      *client.Windlass
	Direct   *client.Direct
	HTTP     *http.Client
}

// Start starts everything. If a part fails, it stops what it started.
func Start(ctx context.Context, cfg Config) (_ *Stack, err error) {
	s := &Stack{IDs: processes.Set{processes.Load: os.Getpid()}, HTTP: client.NewHTTP()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	if s.Dir, err = os.MkdirTemp(cfg.Dir, "windlass-bench-"); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	// Root runs Postgres as another user, which has to enter the directory.
	if err := os.Chmod(s.Dir, 0o755); err != nil {
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

// startPostgres uses localpg's durable defaults.
func (s *Stack) startPostgres(ctx context.Context, cfg Config) (err error) {
	s.PG, err = localpg.Start(ctx, localpg.Config{
		BinDir: cfg.PGBin, DataDir: filepath.Join(s.Dir, "postgres"), Progress: cfg.Progress,
	})
	if errors.Is(err, localpg.ErrOutOfReach) {
		return fmt.Errorf("choose another directory to measure in: %w", err)
	}
	if err != nil {
		return err
	}
	s.IDs[processes.Postgres] = s.PG.PID()
	if s.Settings, err = pgstat.Prepare(ctx, s.PG.URL()); err != nil || !cfg.PgBouncer {
		return err
	}
	s.pooler, err = pgbouncer.Start(ctx, pgbouncer.Config{Target: s.PG.URL(), Dir: s.Dir, Size: pooledConns})
	return err
}

// pooledConns is PgBouncer's default for a pool.
const pooledConns = 20

// databaseURL is the address for the services.
func (s *Stack) databaseURL() string {
	if s.pooler != nil {
		return s.pooler.URL()
	}
	return s.PG.URL()
}

func (s *Stack) startServers(ctx context.Context, cfg Config) error {
	nats, err := s.start(ctx, cfg, processes.NATS, "--dir", filepath.Join(s.Dir, "nats"))
	if err != nil {
		return err
	}
	if len(nats.address) != 2 {
		return fmt.Errorf("start %s: it gave %d addresses, want its own and that of its monitoring",
			processes.NATS, len(nats.address))
	}
	s.natsURL, s.nats = nats.address[0], nats.address[1]
	scripted, err := s.start(ctx, cfg, processes.Mock)
	if err != nil {
		return err
	}
	s.MockURL = scripted.address[0]
	s.Direct = &client.Direct{Mock: s.MockURL, HTTP: s.HTTP}
	return nil
}

func (s *Stack) startServices(ctx context.Context, cfg Config) error {
	file := filepath.Join(s.Dir, "registry.yaml")
	text := RegistryFile(s.MockURL, cmp.Or(cfg.Dialect, registry.Chat))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write the registry: %w", err)
	}
	args := []string{
		"--listen=127.0.0.1:0", "--data=" + filepath.Join(s.Dir, "services"), "--config=" + file,
		"--api-key=" + client.APIKey,
		"--database-url=" + s.databaseURL(), "--nats-url=" + s.natsURL, "--log-level=warn",
	}
	if cfg.CPUProfile != "" {
		args = append(args, "--cpuprofile="+cfg.CPUProfile)
	}
	began := time.Now()
	services, err := s.start(ctx, cfg, processes.Services, args...)
	if err != nil {
		return err
	}
	s.StartUp = time.Since(began)
	s.API = &client.Windlass{URL: services.address[0], HTTP: s.HTTP}
	return nil
}

func (s *Stack) start(ctx context.Context, cfg Config, name string, args ...string) (*child, error) {
	c, err := startChild(ctx, cfg.Self, name, args...)
	if err != nil {
		return nil, err
	}
	s.children = append(s.children, c)
	s.IDs[name] = c.cmd.Process.Pid
	return c, nil
}

// Stop stops everything, the last started first, and removes its data.
func (s *Stack) Stop() error {
	var errs []error
	s.HTTP.CloseIdleConnections()
	for i := len(s.children) - 1; i >= 0; i-- {
		errs = append(errs, s.children[i].stop())
	}
	if s.pooler != nil {
		errs = append(errs, s.pooler.Stop())
	}
	if s.PG != nil {
		ctx, cancel := context.WithTimeout(context.Background(), childStop)
		defer cancel()
		errs = append(errs, s.PG.Stop(ctx, localpg.Immediate)) // its data is deleted next
	}
	if s.Dir != "" {
		errs = append(errs, os.RemoveAll(s.Dir))
	}
	return errors.Join(errs...)
}
