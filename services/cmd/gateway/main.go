// Command gateway runs the gateway service. Its configuration is read from the
// environment.
package main

import (
	"context"

	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/services/gateway"
)

func main() {
	process.Main("gateway", func(ctx context.Context, rt *process.Runtime) error {
		var cfg gateway.Config
		if err := process.Load(ctx, &cfg); err != nil {
			return err
		}
		cfg.Runtime = rt
		return rt.Serve(ctx, func(ctx context.Context) error { return gateway.Run(ctx, cfg) })
	})
}
