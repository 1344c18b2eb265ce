package benchmark

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/pprof"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"windlass.dev/windlass/services/cli/dev"
	"windlass.dev/windlass/services/mock"
)

// Part runs one process of the benchmark's stack. Each prints "ready on" and
// its address, and ends when its standard input does, which the benchmark holds
// open.
type Part struct {
	NATS     natsPart     `cmd:"" name:"nats"`
	Mock     mockPart     `cmd:""`
	Services servicesPart `cmd:""`
}

// untilEOF cancels the context when standard input ends. Its reader cannot be
// interrupted; it ends with the process.
func untilEOF(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return ctx, cancel
}

// natsReadyTime bounds the start of the NATS server.
const natsReadyTime = 10 * time.Second

// natsPart is a NATS server with JetStream on disk and the default sync
// interval.
type natsPart struct {
	Dir string `required:""`
}

// Run serves until ctx or standard input ends.
func (c *natsPart) Run(ctx context.Context) error {
	ctx, cancel := untilEOF(ctx)
	defer cancel()
	s, err := server.NewServer(&server.Options{
		ServerName: "windlass-bench", Host: "127.0.0.1", Port: server.RANDOM_PORT,
		HTTPHost: "127.0.0.1", HTTPPort: server.RANDOM_PORT, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: c.Dir, JetStreamMaxMemory: 256 << 20, JetStreamMaxStore: 16 << 30,
	})
	if err != nil {
		return fmt.Errorf("make the NATS server: %w", err)
	}
	s.Start()
	defer s.WaitForShutdown()
	defer s.Shutdown()
	if !s.ReadyForConnections(natsReadyTime) {
		return fmt.Errorf("the NATS server was not ready in %s", natsReadyTime)
	}
	fmt.Printf("ready on %s http://%s\n", s.ClientURL(), s.MonitorAddr())
	<-ctx.Done()
	return nil
}

// mockPart is the scripted model with its tools.
type mockPart struct{}

// Run serves until ctx or standard input ends.
func (mockPart) Run(ctx context.Context) error {
	ctx, cancel := untilEOF(ctx)
	defer cancel()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the scripted model: %w", err)
	}
	scripted := mock.New()
	served := &http.Server{Handler: scripted, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() {
		scripted.Close()
		_ = served.Close()
	})
	defer stop()
	fmt.Printf("ready on http://%s\n", listener.Addr())
	if err := served.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the scripted model: %w", err)
	}
	return nil
}

// servicesPart is windlass dev, which prints its address when it is ready.
type servicesPart struct {
	Dev        dev.Command `embed:""`
	CPUProfile string      `name:"cpuprofile"`
}

// Run serves until ctx or standard input ends.
func (c *servicesPart) Run(ctx context.Context) (err error) {
	ctx, cancel := untilEOF(ctx)
	defer cancel()
	if c.CPUProfile != "" {
		f, err := os.Create(c.CPUProfile)
		if err != nil {
			return fmt.Errorf("make the profile: %w", err)
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return fmt.Errorf("begin the profile: %w", err)
		}
		defer pprof.StopCPUProfile()
	}
	return c.Dev.Run(ctx)
}
