// Package bustest runs a real NATS server with JetStream inside a test, without
// a socket, and connects buses to it. A server can be restarted, with its data
// or without.
//
// It promises a server of its own to every caller and that nothing is left when
// the test ends. It does not promise the server's default sync interval or
// limits: they are small, for tests.
package bustest

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
)

const (
	startTimeout = 10 * time.Second
	closeTimeout = 5 * time.Second
	maxStore     = 4 << 30
	maxBytes     = 64 << 20
)

// Server starts a NATS server that ends with the test.
func Server(tb testing.TB) *server.Server {
	tb.Helper()
	return NewBroker(tb).Server()
}

// Connect connects a bus to a server or a Broker, with a one-replica
// configuration that change, if given, may alter. The bus is closed with the
// test.
func Connect(tb testing.TB, s bus.InProcess, change ...func(*bus.Config)) *bus.Bus {
	tb.Helper()
	cfg := Config(s)
	for _, f := range change {
		f(&cfg)
	}
	b, err := bus.Connect(tb.Context(), cfg, "test", zap.NewNop())
	if err != nil {
		tb.Fatalf("connect to test server: %v", err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		b.Close(ctx)
	})
	return b
}

// Config is the configuration Connect uses: AckWait is 1 s, and every stream
// may hold 64 MiB.
func Config(s bus.InProcess) bus.Config {
	return bus.Config{
		Prefix: "windlass", Replicas: 1, AckWait: time.Second, InProcess: s,
		MaxBytes: bus.MaxBytes{
			Turn:  maxBytes,
			Tool:  maxBytes,
			Final: maxBytes,
			Step:  maxBytes,
			Mark:  maxBytes,
			Live:  maxBytes,
			Dead:  maxBytes,
		},
	}
}

// Broker is a server that can go away and come back. Buses connected to the
// Broker reconnect to its next server. It is safe for concurrent use.
type Broker struct {
	tb  testing.TB
	dir string

	mu  sync.Mutex
	srv *server.Server
}

// NewBroker starts a server that ends with the test.
func NewBroker(tb testing.TB) *Broker {
	tb.Helper()
	b := &Broker{tb: tb, dir: tb.TempDir()}
	b.Start()
	tb.Cleanup(b.Stop)
	return b
}

// Server is the server that runs now, nil between Stop and Start.
func (b *Broker) Server() *server.Server {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.srv
}

// InProcessConn connects to the server that runs now.
func (b *Broker) InProcessConn() (net.Conn, error) {
	s := b.Server()
	if s == nil {
		return nil, errors.New("test server is stopped")
	}
	return s.InProcessConn()
}

// Start starts a server on the broker's data.
func (b *Broker) Start() {
	b.tb.Helper()
	s, err := server.NewServer(&server.Options{
		ServerName: "test", DontListen: true, NoLog: true, NoSigs: true,
		JetStream: true, StoreDir: b.dir, JetStreamMaxStore: maxStore, JetStreamMaxMemory: maxStore,
	})
	if err != nil {
		b.tb.Fatalf("make test server: %v", err)
	}
	s.Start()
	if !s.ReadyForConnections(startTimeout) {
		b.tb.Fatalf("test server not ready after %v", startTimeout)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.srv = s
}

// Stop shuts the server down and waits for its end. Its data stays.
func (b *Broker) Stop() {
	b.mu.Lock()
	s := b.srv
	b.srv = nil
	b.mu.Unlock()
	if s != nil {
		s.Shutdown()
		s.WaitForShutdown()
	}
}

// Files is the directory of a stream of the default account, whether the server
// runs or not.
func (b *Broker) Files(stream string) string {
	return filepath.Join(b.dir, "jetstream", "$G", "streams", stream)
}

// Lose restarts the broker without the files of a stream.
func (b *Broker) Lose(stream string) {
	b.tb.Helper()
	b.Stop()
	if err := os.RemoveAll(b.Files(stream)); err != nil {
		b.tb.Fatalf("lose %s: %v", stream, err)
	}
	b.Start()
}

// Wipe deletes the data of a stopped broker.
func (b *Broker) Wipe() {
	b.tb.Helper()
	if b.Server() != nil {
		b.tb.Fatal("wipe: test server is running")
	}
	if err := os.RemoveAll(b.dir); err != nil {
		b.tb.Fatalf("wipe test server: %v", err)
	}
}
