// Command windlass is the tool for everything around the five services: a whole Windlass on one machine, migrations, keys, the scripted
// model, the benchmark, and reading messages.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"windlass.dev/windlass/pkg/process"
)

type cli struct {
	Dev     devCmd     `cmd:"" help:"Run everything in one process: five services, NATS, a private Postgres, a demo model and tools."`
	Migrate migrateCmd `cmd:"" help:"Bring the database schema forward."`
	Keys    keysCmd    `cmd:"" help:"Make, list and revoke the API keys of tenants."`
	Mock    mockCmd    `cmd:"" help:"Serve a scripted model and tools."`
	Decode  decodeCmd  `cmd:"" help:"Print a message of the bus as JSON, for nats … --translate."`
	Bench   benchCmd   `cmd:"" help:"Measure throughput, latency and cost per step beside a direct loop."`

	BenchPart benchPartCmd `cmd:"" hidden:"" help:"Run one process of the benchmark's stack."`
}

func main() {
	process.Command("windlass", run)
}

// run parses the command line and runs the command it names.
func run(ctx context.Context) error {
	var c cli
	exited := false
	parser, err := kong.New(&c,
		kong.Name("windlass"),
		kong.Description("A durable backend for LLM requests."),
		kong.UsageOnError(),
		kong.Exit(func(int) { exited = true }), // --help: run returns, and only process exits
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		return fmt.Errorf("describe the command line: %w", err)
	}
	command, err := parser.Parse(os.Args[1:])
	if exited {
		return nil
	}
	if err != nil {
		return err
	}
	return command.Run()
}
