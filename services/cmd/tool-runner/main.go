// Command tool-runner makes the tool calls of one or more pools. See package toolrunner; its environment is toolrunner.Config
// and process.Config.
package main

import (
	"context"

	"windlass.dev/windlass/pkg/process"
	toolrunner "windlass.dev/windlass/services/tool-runner"
)

func main() {
	process.Main("tool-runner", func(ctx context.Context, rt *process.Runtime) error {
		var cfg toolrunner.Config
		if err := process.Load(ctx, &cfg); err != nil {
			return err
		}
		cfg.Runtime = rt
		return rt.Serve(ctx, func(ctx context.Context) error { return toolrunner.Run(ctx, cfg) })
	})
}
