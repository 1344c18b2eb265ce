//go:build e2e

package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsCommand makes this test binary a NATS server.
const natsCommand = "nats-server"

func serveNATS(args []string) int {
	flags := flag.NewFlagSet(natsCommand, flag.ContinueOnError)
	port := flags.Int("port", 0, "TCP port")
	store := flags.String("store", "", "JetStream's directory")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "windlass-e2e", Host: "127.0.0.1", Port: *port, NoSigs: true,
		JetStream: true, StoreDir: *store, JetStreamMaxMemory: 256 << 20, JetStreamMaxStore: 16 << 30,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, natsCommand+":", err)
		return 1
	}
	s.ConfigureLogger()
	s.Start()
	s.WaitForShutdown()
	return 0
}

// broker is a NATS server in its own process, with its data on disk.
type broker struct {
	process
	url   string
	store string
}

func newBroker(t *testing.T, dir string) *broker {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	port, store := freePort(t), filepath.Join(dir, "nats")
	b := &broker{url: "nats://" + address(port), store: store}
	b.process = process{
		name: "nats", path: self, args: []string{natsCommand, "-port", strconv.Itoa(port), "-store", store},
		log: filepath.Join(dir, "nats.log"), ready: b.isReady,
	}
	return b
}

func (b *broker) isReady(ctx context.Context) bool {
	nc, err := nats.Connect(b.url, nats.Timeout(time.Second), nats.NoReconnect())
	if err != nil {
		return false
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err = js.AccountInfo(ctx)
	return err == nil
}

// wipe kills the server, removes its data and starts it again.
func (b *broker) wipe(t *testing.T) Outage {
	t.Helper()
	o := Outage{Name: "wipe", From: b.kill(t)}
	if err := os.RemoveAll(b.store); err != nil {
		t.Fatalf("wipe the store: %v", err)
	}
	b.start(t)
	b.awaitReady(t)
	o.Back = time.Now()
	return o
}

// crash kills the server and starts it again with its data.
func (b *broker) crash(t *testing.T) Outage {
	t.Helper()
	o := Outage{Name: "crash", From: b.kill(t)}
	b.start(t)
	b.awaitReady(t)
	o.Back = time.Now()
	return o
}

// purge empties every stream by the server's API.
func (b *broker) purge(t *testing.T) Outage {
	t.Helper()
	o := Outage{Name: "purge", From: time.Now()}
	b.each(t, func(ctx context.Context, s jetstream.Stream) error { return s.Purge(ctx) })
	o.Back = time.Now()
	return o
}

// deleteConsumers deletes every consumer of every stream.
func (b *broker) deleteConsumers(t *testing.T) Outage {
	t.Helper()
	o := Outage{Name: "delete consumers", From: time.Now()}
	b.each(t, func(ctx context.Context, s jetstream.Stream) error {
		names := s.ConsumerNames(ctx)
		for name := range names.Name() {
			if err := s.DeleteConsumer(ctx, name); err != nil {
				return err
			}
		}
		return names.Err()
	})
	o.Back = time.Now()
	return o
}

func (b *broker) each(t *testing.T, do func(context.Context, jetstream.Stream) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	nc, err := nats.Connect(b.url)
	if err != nil {
		t.Fatalf("connect to NATS: %v", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	names := js.StreamNames(ctx)
	done := 0
	for name := range names.Name() {
		if !strings.HasPrefix(name, "WINDLASS_") {
			continue
		}
		s, err := js.Stream(ctx, name)
		if err == nil {
			err = do(ctx, s)
		}
		if err != nil {
			t.Fatalf("stream %s: %v", name, err)
		}
		done++
	}
	if names.Err() != nil || done == 0 {
		t.Fatalf("list streams: %d of ours, %v", done, names.Err())
	}
}
