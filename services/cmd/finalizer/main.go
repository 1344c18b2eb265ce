// Command finalizer runs the finalizer service. Its configuration is read from
// the environment.
package main

import (
	"context"

	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/services/finalizer"
)

func main() {
	process.Main("finalizer", func(ctx context.Context, rt *process.Runtime) error {
		var cfg finalizer.Config
		if err := process.Load(ctx, &cfg); err != nil {
			return err
		}
		cfg.Runtime = rt
		return rt.Serve(ctx, func(ctx context.Context) error { return finalizer.Run(ctx, cfg) })
	})
}
