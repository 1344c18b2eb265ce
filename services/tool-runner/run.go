package toolrunner

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/process/shortage"
	"windlass.dev/windlass/services/tool-runner/internal/command"
	"windlass.dev/windlass/services/tool-runner/internal/httptool"
)

const service = "tool-runner"

// Run serves the pools until ctx ends, lets the calls in flight finish within
// the grace, and returns nil. It returns an error if it cannot start: a wrong
// configuration, a credential without a secret, or a ctx that ends before the
// bus answers. The caller serves the admin endpoints.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("check configuration: %w", err)
	}
	tools, pools, err := cfg.tools()
	if err != nil {
		return err
	}
	if len(pools) > 0 {
		if err := tools.CheckToolCredentials(pools...); err != nil {
			return fmt.Errorf("check the tools' credentials: %w", err)
		}
	}
	b, err := bus.Connect(ctx, cfg.Bus, service, cfg.Runtime.Log, bus.WithMetrics(cfg.Runtime.Metrics))
	if err != nil {
		return err
	}
	defer b.Close(context.WithoutCancel(ctx))
	if err := b.Ensure(ctx, bus.Topology{Pools: pools}); err != nil {
		return fmt.Errorf("ensure streams: %w", err)
	}
	cfg.Runtime.Health.Check(service+".nats", b.Ready)
	client := httptool.New(cfg.Slots)
	defer client.Close()
	lacks := shortage.NewWatch(cfg.Runtime.Log, cfg.Runtime.Metrics)
	cfg.Runtime.Health.Check(service+".resources", lacks.Ready)
	h := &command.Handler{
		Shortage: lacks, Bus: b, Tools: tools, Client: client,
		Log: cfg.Runtime.Log, Metrics: process.NewMetrics(cfg.Runtime.Metrics, service),
	}
	if cfg.Isolate != nil {
		h.Isolate = cfg.Isolate.Run
	}
	work, ctx := errgroup.WithContext(ctx)
	for _, pool := range pools {
		work.Go(func() error {
			return b.Run(ctx, consume.Config{
				Work: consume.ToolWork(pool), Slots: cfg.Slots, Grace: cfg.Grace,
				Handle: h.Handle, Confirm: h.ConfirmCancel,
			})
		})
	}
	if len(pools) == 0 { // a registry without tools is no fault
		<-ctx.Done()
	}
	return work.Wait()
}

// RunIsolated makes one call, the task of an isolated process, and returns its
// result. It connects to no bus.
func RunIsolated(ctx context.Context, cfg Config, task []byte) ([]byte, error) {
	tools, _, err := cfg.tools()
	if err != nil {
		return nil, err
	}
	client := httptool.New(1)
	defer client.Close()
	h := &command.Handler{Tools: tools, Client: client, Log: cfg.Runtime.Log}
	return h.CallIsolated(ctx, task)
}
