package cli

import (
	"errors"
	"fmt"

	"github.com/alecthomas/kong"
)

// usageError is a command line that cannot be run.
type usageError struct {
	error
	command string // with the help to read, like "windlass keys create"
}

// newUsageError finds the command in an error of the parser.
func newUsageError(err error) error {
	command := "windlass"
	if parse := (*kong.ParseError)(nil); errors.As(err, &parse) {
		for _, p := range parse.Context.Path {
			if p.Command != nil {
				command += " " + p.Command.Name
			}
		}
	}
	return &usageError{error: err, command: command}
}

func (e *usageError) Error() string {
	return fmt.Sprintf("%s\nrun `%s --help`", e.error, e.command)
}

func (e *usageError) Unwrap() error { return e.error }

// ExitCode is read by process.Command.
func (e *usageError) ExitCode() int { return 2 }
