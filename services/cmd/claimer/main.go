// Command claimer runs the claimer service. Its configuration is read from the
// environment.
package main

import (
	"context"

	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/services/claimer"
)

func main() {
	process.Main("claimer", func(ctx context.Context, rt *process.Runtime) error {
		var cfg claimer.Config
		if err := process.Load(ctx, &cfg); err != nil {
			return err
		}
		cfg.Runtime = rt
		return rt.Serve(ctx, func(ctx context.Context) error { return claimer.Run(ctx, cfg) })
	})
}
