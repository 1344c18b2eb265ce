// Command tool-runner runs the tool-runner service. Its configuration is read
// from the environment.
package main

import (
	"context"

	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/services/internal/isolate"
	toolrunner "windlass.dev/windlass/services/tool-runner"
)

func main() {
	process.Main("tool-runner", func(ctx context.Context, rt *process.Runtime) error {
		var cfg toolrunner.Config
		if err := process.Load(ctx, &cfg); err != nil {
			return err
		}
		cfg.Runtime = rt
		if isolate.IsChild() {
			return isolate.Serve(ctx, func(ctx context.Context, task []byte) ([]byte, error) {
				return toolrunner.RunIsolated(ctx, cfg, task)
			})
		}
		if cfg.IsolationSlots > 0 {
			cfg.Isolate = isolate.New(cfg.IsolationSlots, rt.Log, rt.Metrics)
		}
		return rt.Serve(ctx, func(ctx context.Context) error { return toolrunner.Run(ctx, cfg) })
	})
}
