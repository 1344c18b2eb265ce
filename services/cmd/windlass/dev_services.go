package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/claimer"
	"windlass.dev/windlass/services/finalizer"
	"windlass.dev/windlass/services/gateway"
	"windlass.dev/windlass/services/internal/worker"
	looporchestrator "windlass.dev/windlass/services/loop-orchestrator"
	toolrunner "windlass.dev/windlass/services/tool-runner"
)

const (
	// devGrace is short: a developer's Ctrl-C is not a deploy, and what is cut goes on at the next start.
	devGrace = 2 * time.Second
	// devConns is each service's share of the connections.
	devConns = 4
)

// services are the five, told where everything is.
func (d *dev) services() ([]func(context.Context) error, error) {
	key, err := d.secret("dispatch.key")
	if err != nil {
		return nil, err
	}
	pepper, err := d.secret("key.pepper")
	if err != nil {
		return nil, err
	}
	seal, err := d.secret("seal.key")
	if err != nil {
		return nil, err
	}
	db := store.Config{URL: d.DatabaseURL, MaxConns: devConns}
	nats, err := d.bus()
	if err != nil {
		return nil, err
	}
	common := func(name string) worker.Config {
		return worker.Config{Store: db, Bus: nats, DispatchKey: key, Grace: devGrace, Registry: d.reg, Runtime: d.rt.For(name)}
	}
	return []func(context.Context) error{
		func(ctx context.Context) error {
			return claimer.Run(ctx, claimer.Config{
				Config: common("claimer"), Retention: claimer.Retention{Stored: 30 * 24 * time.Hour, Unstored: 10 * time.Minute},
			})
		},
		func(ctx context.Context) error {
			return looporchestrator.Run(ctx, looporchestrator.Config{
				Config: common("loop-orchestrator"), Slots: 1024, ResultBatch: 256, SealKeys: seal,
			})
		},
		func(ctx context.Context) error {
			return finalizer.Run(ctx, finalizer.Config{Config: common("finalizer"), Slots: 64})
		},
		func(ctx context.Context) error {
			return toolrunner.Run(ctx, toolrunner.Config{
				Bus: nats, Slots: 256, Grace: devGrace, Registry: d.reg, Runtime: d.rt.For("tool-runner"),
			})
		},
		func(ctx context.Context) error {
			return gateway.Run(ctx, gateway.Config{
				Store: db, Bus: nats, APIKey: d.APIKey, KeyPepper: pepper, SealKeys: seal, MaxBody: 16 << 20, BacklogMax: 100_000,
				PollInterval: time.Second, DrainGrace: devGrace, Registry: d.reg,
				RegistryFile: d.Config, Runtime: d.rt.For("gateway"), Listener: d.api, CORSOrigins: d.CORSOrigins,
			})
		},
	}, nil
}

// bus is configured by the environment, like the services', but for the address.
func (d *dev) bus() (bus.Config, error) {
	var c bus.Config
	if err := process.Load(context.Background(), &c); err != nil {
		return c, fmt.Errorf("read the settings of NATS: %w", err)
	}
	c.URL = d.NATSURL
	return c, nil
}

func splitAddress(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("read the address: %w", err)
	}
	if port, err = strconv.Atoi(text); err != nil {
		return "", 0, fmt.Errorf("read the address %q: %w", address, err)
	}
	if port == 0 {
		port = -1 // what the server takes for "any free one"
	}
	return host, port, nil
}
