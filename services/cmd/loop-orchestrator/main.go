// Command loop-orchestrator runs the loop-orchestrator service. Its
// configuration is read from the environment.
package main

import (
	"context"

	"windlass.dev/windlass/pkg/process"
	looporchestrator "windlass.dev/windlass/services/loop-orchestrator"
)

func main() {
	process.Main("loop-orchestrator", func(ctx context.Context, rt *process.Runtime) error {
		var cfg looporchestrator.Config
		if err := process.Load(ctx, &cfg); err != nil {
			return err
		}
		cfg.Runtime = rt
		return rt.Serve(ctx, func(ctx context.Context) error { return looporchestrator.Run(ctx, cfg) })
	})
}
