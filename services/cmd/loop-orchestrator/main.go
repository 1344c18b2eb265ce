// Command loop-orchestrator runs the loop-orchestrator service. Its
// configuration is read from the environment.
package main

import (
	"context"

	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/services/internal/isolate"
	looporchestrator "windlass.dev/windlass/services/loop-orchestrator"
)

func main() {
	process.Main("loop-orchestrator", func(ctx context.Context, rt *process.Runtime) error {
		var cfg looporchestrator.Config
		if err := process.Load(ctx, &cfg); err != nil {
			return err
		}
		cfg.Runtime = rt
		if isolate.IsChild() {
			return isolate.Serve(ctx, func(ctx context.Context, task []byte) ([]byte, error) {
				return looporchestrator.RunIsolated(ctx, cfg, task)
			})
		}
		if cfg.IsolationSlots > 0 {
			cfg.Isolate = isolate.New(cfg.IsolationSlots, rt.Log, rt.Metrics)
		}
		return rt.Serve(ctx, func(ctx context.Context) error { return looporchestrator.Run(ctx, cfg) })
	})
}
