// Package cli is the windlass command line. Each command is a package below it;
// commands lists them. A command is a struct with flags as kong tags, a Run
// method, and, if it has more to say, Help for its --help and AfterApply to
// check its flags.
//
// The exit code is 0 for success, also after Ctrl-C, 2 for a command line that
// cannot be run (TestUsageErrorsSayWhatToWrite), and 1 for any other error.
// docs/cli.md is written from the flags (TestCommandsAreDocumented).
package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"windlass.dev/windlass/services/cli/benchmark"
	"windlass.dev/windlass/services/cli/decode"
	"windlass.dev/windlass/services/cli/dev"
	"windlass.dev/windlass/services/cli/keys"
	"windlass.dev/windlass/services/cli/migrate"
	"windlass.dev/windlass/services/cli/mockserver"
	"windlass.dev/windlass/services/cli/version"
)

// commands has one line for each command. --help shows them in this order.
type commands struct {
	Dev     dev.Command        `cmd:"" help:"Run everything in one process: five services, NATS, a private Postgres, a demo model and tools."`
	Migrate migrate.Command    `cmd:"" help:"Bring the database schema up to date."`
	Keys    keys.Command       `cmd:"" help:"Make, list and revoke the API keys of tenants."`
	Mock    mockserver.Command `cmd:"" help:"Serve a scripted model and tools."`
	Decode  decode.Command     `cmd:"" help:"Print a message of the bus as JSON, for nats … --translate."`
	Bench   benchmark.Command  `cmd:"" help:"Measure throughput, latency and cost per step beside a direct loop."`
	Version version.Command    `cmd:"" help:"Print the version."`
	Help    helpCommand        `cmd:"" help:"Show this, or the help of a command."`

	BenchPart benchmark.Part `cmd:"" hidden:"" help:"Run one process of the benchmark's stack."`

	VersionFlag kong.VersionFlag `name:"version" help:"Print the version."`
}

// helpCommand exists to be listed: expandHelp turns it into --help.
type helpCommand struct {
	Command []string `arg:"" optional:"" help:"The command, like keys create."`
}

// Run parses the process's arguments and runs the command they name.
func Run(ctx context.Context) error {
	exited := false
	parser, err := newParser(
		kong.Exit(func(int) { exited = true }), // after --help and --version; only package process exits
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		return fmt.Errorf("describe the command line: %w", err)
	}
	command, err := parser.Parse(expandHelp(os.Args[1:]))
	if exited {
		return nil
	}
	if err != nil {
		return newUsageError(err)
	}
	return command.Run()
}

func newParser(options ...kong.Option) (*kong.Kong, error) {
	return kong.New(new(commands), append([]kong.Option{
		kong.Name("windlass"),
		kong.Description("A durable backend for LLM requests."),
		kong.Vars{"version": version.String()},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	}, options...)...)
}

// expandHelp turns `help [command]` and an empty command line into --help.
func expandHelp(args []string) []string {
	switch {
	case len(args) == 0:
		return []string{"--help"}
	case args[0] == "help":
		return append(args[1:len(args):len(args)], "--help")
	}
	return args
}
