// Command windlass is the tool for everything around the five services: a whole
// Windlass on one machine, migrations, keys, the scripted model, the benchmark,
// and reading messages.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

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
	Version versionCmd `cmd:"" help:"Print the version."`
	Help    helpCmd    `cmd:"" help:"Show this, or the help of a command."`

	BenchPart benchPartCmd `cmd:"" hidden:"" help:"Run one process of the benchmark's stack."`

	VersionFlag kong.VersionFlag `name:"version" help:"Print the version."`
}

// helpCmd is listed only: arguments turns it into --help.
type helpCmd struct {
	Command []string `arg:"" optional:"" help:"The command, like keys create."`
}

func main() {
	process.Command("windlass", run)
}

// run parses the command line and runs the command it names.
func run(ctx context.Context) error {
	exited := false
	parser, err := newParser(
		kong.Exit(func(int) { exited = true }), // --help and --version: run returns, and only process exits
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		return fmt.Errorf("describe the command line: %w", err)
	}
	command, err := parser.Parse(arguments(os.Args[1:]))
	if exited {
		return nil
	}
	if err != nil {
		return usageOf(err)
	}
	return command.Run()
}

func newParser(options ...kong.Option) (*kong.Kong, error) {
	return kong.New(new(cli), append([]kong.Option{
		kong.Name("windlass"),
		kong.Description("A durable backend for LLM requests."),
		kong.Vars{"version": version()},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	}, options...)...)
}

// arguments are args with `help` and no arguments at all turned into --help.
func arguments(args []string) []string {
	switch {
	case len(args) == 0:
		return []string{"--help"}
	case args[0] == "help":
		return append(args[1:len(args):len(args)], "--help")
	}
	return args
}

// usageError is a command line that cannot be run. The exit code is 2.
type usageError struct {
	error
	command string // that the help is about, like "windlass keys create"
}

func (e *usageError) Error() string {
	return fmt.Sprintf("%s\nrun `%s --help`", e.error, e.command)
}

func (e *usageError) Unwrap() error { return e.error }

// ExitCode is read by process.Command.
func (e *usageError) ExitCode() int { return 2 }

func usageOf(err error) error {
	command := "windlass"
	if parse := (*kong.ParseError)(nil); errors.As(err, &parse) {
		for _, p := range parse.Context.Path {
			if p.Command != nil {
				command = strings.Join([]string{command, p.Command.Name}, " ")
			}
		}
	}
	return &usageError{error: err, command: command}
}
