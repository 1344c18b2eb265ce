package dev

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/retry"
	"windlass.dev/windlass/services/cli/internal/address"
)

// natsWait is how long a NATS server may take to answer.
const natsWait = 10 * time.Second

// useNATS starts the embedded server, or waits for that of --nats-url.
func (d *dev) useNATS(ctx context.Context) error {
	if d.NATSURL != "" {
		return d.awaitNATS(ctx)
	}
	host, port, err := splitListen(d.NATSListen)
	if err != nil {
		return err
	}
	d.nats, err = server.NewServer(&server.Options{
		ServerName: "windlass-dev", Host: host, Port: port, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: d.data.Path("nats"), JetStreamMaxMemory: 256 << 20,
		JetStreamMaxStore: 1 << 40, // every stream has a limit of its own
	})
	if err != nil {
		return fmt.Errorf("make the NATS server: %w", err)
	}
	d.nats.Start()
	if !d.nats.ReadyForConnections(natsWait) {
		return fmt.Errorf("the embedded NATS server was not ready in %s", natsWait)
	}
	d.NATSURL = d.nats.ClientURL()
	return nil
}

// probeNATS fails if the address of the embedded NATS server is in use: the
// server itself only logs that.
func (c *Command) probeNATS(ctx context.Context) error {
	if c.NATSURL != "" {
		return nil
	}
	probe, err := address.Listen(ctx, "--nats-listen", c.NATSListen)
	if err != nil {
		return err
	}
	if err := probe.Close(); err != nil {
		return fmt.Errorf("listen for NATS: %w", err)
	}
	return nil
}

func splitListen(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("read the address: %w", err)
	}
	if port, err = strconv.Atoi(text); err != nil {
		return "", 0, fmt.Errorf("read the address %q: %w", address, err)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, nil
}

// busConfig reads the environment, like the services, except for the address.
func (d *dev) busConfig() (bus.Config, error) {
	var c bus.Config
	if err := process.Load(context.Background(), &c); err != nil {
		return c, fmt.Errorf("read the settings of NATS: %w", err)
	}
	c.URL = d.NATSURL
	return c, nil
}

// awaitNATS waits until the server of --nats-url answers.
func (d *dev) awaitNATS(ctx context.Context) error {
	cfg, err := d.busConfig()
	if err != nil {
		return err
	}
	b, err := bus.Connect(ctx, cfg, "dev", zap.NewNop())
	if err != nil {
		return fmt.Errorf("--nats-url: %w", err)
	}
	defer b.Close(context.WithoutCancel(ctx))
	where := address.Redact(d.NATSURL)
	for began, logged := time.Now(), false; ; {
		err := b.Ready(ctx)
		switch {
		case err == nil:
			return nil
		case time.Since(began) > natsWait:
			return fmt.Errorf("NATS at %s did not answer in %s (%w): start it (nats-server -js), correct --nats-url, "+
				"or leave that out to use dev's own", where, natsWait, dialError(ctx, d.NATSURL, err))
		case !logged && time.Since(began) > time.Second:
			logged = true
			d.rt.Log.Warn("start check", zap.String("error", fmt.Sprintf("NATS at %s does not answer yet", where)),
				zap.String("hint", fmt.Sprintf("dev waits for up to %s", natsWait)))
		}
		if !retry.Sleep(ctx, 100*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
}

// dialError returns why a server cannot be reached, or err if it can be.
func dialError(ctx context.Context, server string, err error) error {
	u, parseErr := url.Parse(server)
	if parseErr != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, dialErr := new(net.Dialer).DialContext(ctx, "tcp", u.Host)
	if dialErr != nil {
		return dialErr
	}
	_ = conn.Close()
	return err
}
