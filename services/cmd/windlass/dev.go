package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sync/errgroup"

	"windlass.dev/windlass/pkg/localpg"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/store/migrations"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/services/internal/console"
)

// devCmd runs a whole Windlass in one process.
type devCmd struct {
	Listen       string `help:"Address of the API." env:"WINDLASS_LISTEN" default:"127.0.0.1:8080"`
	Data         string `help:"Directory of Postgres, NATS and secrets. Requests in flight go on after a restart." env:"WINDLASS_DATA" default:"./.windlass"`
	APIKey       string `help:"Key that clients have to send." env:"WINDLASS_API_KEY" default:"wl-dev"`
	Config       string `help:"Registry of models and tools (YAML), beside the demo ones." env:"WINDLASS_REGISTRY" placeholder:"FILE"`
	ModelURL     string `help:"OpenAI-compatible API that serves every model name not configured, like http://localhost:11434/v1." env:"WINDLASS_MODEL_URL" placeholder:"URL"`
	ModelKey     string `help:"Key for --model-url." env:"WINDLASS_MODEL_KEY" placeholder:"KEY"`
	ModelDialect string `help:"API that --model-url speaks: chat (completions) or responses." env:"WINDLASS_MODEL_DIALECT" enum:"chat,responses" default:"chat"`
	ModelProfile string `help:"Kind of server behind --model-url, if its address does not tell, like vllm or llamacpp; docs/upstreams.md has all." env:"WINDLASS_MODEL_PROFILE" enum:",azure,compatible,deepseek,gemini,groq,llamacpp,lmstudio,mistral,ollama,openai,openrouter,tgi,vllm" default:"" placeholder:"NAME"`
	DatabaseURL  string `help:"Use this Postgres instead of a private one." env:"WINDLASS_DATABASE_URL" placeholder:"URL"`
	NATSURL      string `name:"nats-url" help:"Use this NATS instead of an embedded one." env:"WINDLASS_NATS_URL" placeholder:"URL"`
	NATSListen   string `name:"nats-listen" help:"Address of the embedded NATS, for the nats CLI." env:"WINDLASS_NATS_LISTEN" default:"127.0.0.1:4222"`
	PGBin        string `name:"pg-bin" help:"Directory of the Postgres binaries; without it the usual places, then a download." env:"PG_BIN" placeholder:"DIR"`
	AdminListen  string `help:"Address of /livez, /readyz and /metrics. Default: 127.0.0.1:8081, or any free port if that is in use." env:"WINDLASS_ADMIN_LISTEN" placeholder:"ADDRESS"`
	LogLevel     string `help:"What is shown: error, warn (failures and what to do), info (and a line for each request), debug (and each step)." env:"WINDLASS_LOG_LEVEL" enum:"debug,info,warn,error" default:"info"`
	NoColor      string `hidden:"" env:"NO_COLOR"`
	Term         string `hidden:"" env:"TERM"`

	CORSOrigins []string `name:"cors-origins" help:"Origins of the web pages that may call the API from a browser: https://app.example.com, https://*.example.com, http://localhost:*, loopback, null, or * for all." env:"WINDLASS_CORS_ORIGINS" default:"loopback" placeholder:"ORIGIN,..."`
}

// Help is shown by windlass dev --help.
func (devCmd) Help() string {
	return `Everything a production installation runs, in one process: the five services, an embedded NATS server that the nats CLI can connect
to, and a real Postgres of its own. A demo model and demo tools answer without a key and without a network.

It needs no Postgres to be running: it uses the binaries it finds (PG_BIN, /usr/lib/postgresql, PATH) and fetches them once otherwise.
Ctrl-C leaves nothing running; what was accepted goes on at the next start.`
}

// startTime bounds starting NATS and Postgres, a first download excepted.
const startTime = 2 * time.Minute

// Run runs until ctx ends or a part fails.
func (c *devCmd) Run(ctx context.Context) error {
	began := time.Now()
	api, err := listen(ctx, "--listen", c.Listen)
	if err != nil {
		return err
	}
	defer api.Close() // the gateway closes it, unless a part before it fails
	data, err := filepath.Abs(c.Data)
	if err != nil {
		return fmt.Errorf("find the data directory: %w", err)
	}
	if err := os.MkdirAll(data, 0o755); err != nil {
		return fmt.Errorf("make the data directory (choose another with --data): %w", err)
	}
	lock, err := lockData(data)
	if err != nil {
		return err
	}
	defer lock.Close()
	lines, err := console.New(console.Config{Out: os.Stderr, Level: c.LogLevel, Color: c.colored(os.Stderr)})
	if err != nil {
		return err
	}
	rt := process.NewRuntime("dev", process.Config{LogLevel: c.LogLevel, Grace: devGrace}, lines.Logger())
	d := &dev{devCmd: c, began: began, data: data, rt: rt, api: api}
	defer d.close()
	if d.demo, err = startDemo(ctx); err != nil {
		return err
	}
	if err := d.configure(lines); err != nil {
		return err
	}
	if err := c.probeNATS(ctx); err != nil {
		return err
	}
	if d.admin, err = c.listenAdmin(ctx); err != nil {
		return err
	}
	return rt.ServeOn(ctx, d.admin, lines.Run, d.live)
}

// live starts everything and runs it until ctx ends or a part fails.
func (d *dev) live(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	checked := make(chan struct{})
	all.Go(func() error { defer close(checked); d.check(ctx); return nil })
	all.Go(func() error {
		if err := d.start(ctx); err != nil {
			return err
		}
		parts, err := d.services()
		if err != nil {
			return err
		}
		for _, part := range parts {
			all.Go(func() error { return part(ctx) })
		}
		all.Go(func() error { return d.greet(ctx, checked) })
		all.Go(func() error { return d.guard(ctx) })
		return nil
	})
	err := all.Wait()
	if errors.Is(context.Cause(ctx), process.ErrDraining) {
		return nil // whatever an interrupted start says
	}
	return err
}

// dev is what a running devCmd holds.
type dev struct {
	*devCmd
	began  time.Time
	data   string // absolute
	pgData string // of the private Postgres
	rt     *process.Runtime
	api    net.Listener
	admin  net.Listener
	reg    *registry.Registry
	advice console.Advisor
	demo   *demoServer
	nats   *server.Server
	pg     *localpg.Server
}

// start brings up NATS and Postgres, side by side, and migrates.
func (d *dev) start(ctx context.Context) error {
	if err := d.findPostgres(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	all, ctx := errgroup.WithContext(ctx)
	if d.NATSURL == "" {
		all.Go(d.startNATS)
	} else {
		all.Go(func() error { return d.findNATS(ctx) })
	}
	all.Go(func() error {
		if d.DatabaseURL == "" {
			if err := d.startPostgres(ctx); err != nil {
				return err
			}
		}
		err := postgres.Await(ctx, d.DatabaseURL, databaseWait, d.sayWaiting)
		if err == nil {
			_, err = migrations.Apply(ctx, d.DatabaseURL)
		}
		if err != nil {
			return d.databaseFault(err)
		}
		return d.keep("database.url", d.DatabaseURL) // for the other commands; the port is another at every start
	})
	return all.Wait()
}

func (d *dev) startPostgres(ctx context.Context) (err error) {
	cfg := d.postgresConfig()
	d.pgData = cfg.DataDir
	d.pg, err = localpg.Start(ctx, cfg)
	if errors.Is(err, localpg.ErrOutOfReach) {
		// Root's home is closed to the account Postgres runs as: keep its files where that account can go.
		cfg.DataDir = d.openPostgresDir()
		fmt.Fprintf(os.Stderr, "Postgres cannot enter %s; its files are in %s\n", d.data, cfg.DataDir)
		d.pgData = cfg.DataDir
		d.pg, err = localpg.Start(ctx, cfg)
	}
	if errors.Is(err, localpg.ErrRunning) {
		return fmt.Errorf("another windlass dev uses %s: stop it, or choose another directory with --data", shown(d.data))
	}
	if err != nil {
		return err
	}
	d.DatabaseURL = d.pg.URL()
	return nil
}

func (d *dev) startNATS() error {
	host, port, err := splitAddress(d.NATSListen)
	if err != nil {
		return err
	}
	d.nats, err = server.NewServer(&server.Options{
		ServerName: "windlass-dev", Host: host, Port: port, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: filepath.Join(d.data, "nats"), JetStreamMaxMemory: 256 << 20,
		JetStreamMaxStore: 1 << 40, // every stream has a limit of its own
	})
	if err != nil {
		return fmt.Errorf("make the NATS server: %w", err)
	}
	d.nats.Start()
	if !d.nats.ReadyForConnections(natsReady) {
		return fmt.Errorf("the embedded NATS server was not ready in %s", natsReady)
	}
	d.NATSURL = d.nats.ClientURL()
	return nil
}

const natsReady = 10 * time.Second

// guard ends dev when its Postgres ends by itself: without it nothing can be accepted, and nothing here starts it again.
func (d *dev) guard(ctx context.Context) error {
	if d.pg == nil {
		return nil
	}
	select {
	case <-ctx.Done():
		return nil
	case <-d.pg.Done():
		return fmt.Errorf("the private Postgres ended; its log is in %s; start dev again to continue", d.pgData)
	}
}

// close stops what start started, in the reverse order. Postgres and NATS have everything on disk.
func (d *dev) close() {
	if d.demo != nil {
		d.demo.close()
	}
	if d.nats != nil {
		d.nats.Shutdown()
		d.nats.WaitForShutdown()
	}
	if d.pg != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := d.pg.Stop(ctx, localpg.Fast); err != nil {
			fmt.Fprintf(os.Stderr, "windlass: stop Postgres: %v\n", err)
		}
	}
}

// secret returns the named secret of this data directory, made at the first use.
func (d *dev) secret(name string) (string, error) {
	path := filepath.Join(d.data, name)
	if b, err := os.ReadFile(path); err == nil && len(b) > 0 {
		return string(b), nil
	}
	value := rand.Text() + rand.Text()
	return value, d.keep(name, value)
}

// keep writes what only the owner of the data directory may read.
func (d *dev) keep(name, value string) error {
	if err := os.WriteFile(filepath.Join(d.data, name), []byte(value), 0o600); err != nil {
		return fmt.Errorf("keep a secret: %w", err)
	}
	return nil
}
