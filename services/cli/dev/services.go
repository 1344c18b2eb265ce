package dev

import (
	"context"
	"time"

	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/services/claimer"
	"windlass.dev/windlass/services/cli/internal/datafolder"
	"windlass.dev/windlass/services/finalizer"
	"windlass.dev/windlass/services/gateway"
	"windlass.dev/windlass/services/internal/worker"
	looporchestrator "windlass.dev/windlass/services/loop-orchestrator"
	toolrunner "windlass.dev/windlass/services/tool-runner"
)

const (
	// grace is short: after a developer's Ctrl-C, requests in flight go on at
	// the next start.
	grace = 2 * time.Second
	// maxConns is each service's share of the connections to Postgres.
	maxConns = 4
)

// services returns the Run functions of the five services.
func (d *dev) services() ([]func(context.Context) error, error) {
	keys, err := d.secrets()
	if err != nil {
		return nil, err
	}
	db := postgres.Config{URL: d.DatabaseURL, MaxConns: maxConns}
	nats, err := d.busConfig()
	if err != nil {
		return nil, err
	}
	common := func(name string) worker.Config {
		return worker.Config{
			Store: db, Bus: nats, DispatchKey: keys.dispatch, Grace: grace, Registry: d.reg, Runtime: d.rt.For(name),
		}
	}
	return []func(context.Context) error{
		func(ctx context.Context) error {
			return claimer.Run(ctx, claimer.Config{
				Config:    common("claimer"),
				Retention: claimer.Retention{Stored: 30 * 24 * time.Hour, Unstored: 10 * time.Minute},
			})
		},
		func(ctx context.Context) error {
			return looporchestrator.Run(ctx, looporchestrator.Config{
				Config: common("loop-orchestrator"), Slots: 1024, ResultBatch: 256, SealKeys: keys.seal,
			})
		},
		func(ctx context.Context) error {
			return finalizer.Run(ctx, finalizer.Config{Config: common("finalizer"), Slots: 64})
		},
		func(ctx context.Context) error {
			return toolrunner.Run(ctx, toolrunner.Config{
				Bus: nats, Slots: 256, Grace: grace, Registry: d.reg, Runtime: d.rt.For("tool-runner"),
			})
		},
		func(ctx context.Context) error {
			return gateway.Run(ctx, gateway.Config{
				Store: db, Bus: nats, APIKey: d.APIKey, KeyPepper: keys.pepper, SealKeys: keys.seal,
				// Never empty, which would allow every name.
				Hosts:   append(d.hosts(), "localhost"),
				MaxBody: 16 << 20, BacklogMax: 100_000, PollInterval: time.Second, DrainGrace: grace, Registry: d.reg,
				RegistryFile: d.Config, Runtime: d.rt.For("gateway"), Listener: d.api, CORSOrigins: d.CORSOrigins,
			})
		},
	}, nil
}

// secrets are what a production installation gets from its environment.
type secrets struct{ dispatch, pepper, seal string }

func (d *dev) secrets() (s secrets, err error) {
	for name, value := range map[string]*string{
		"dispatch.key": &s.dispatch, datafolder.KeyPepper: &s.pepper, "seal.key": &s.seal,
	} {
		if *value, err = d.data.Secret(name); err != nil {
			return secrets{}, err
		}
	}
	return s, nil
}
