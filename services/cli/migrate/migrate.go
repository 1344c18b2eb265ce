// Package migrate is `windlass migrate`.
package migrate

import (
	"context"
	"fmt"

	"windlass.dev/windlass/pkg/store/migrations"
)

// Command brings a database to this binary's schema.
type Command struct {
	DatabaseURL string `help:"Database to migrate." env:"WINDLASS_DATABASE_URL" required:"" placeholder:"URL"`
	Check       bool   `help:"Change nothing; fail if the schema is older than this binary needs."`
}

// Help is shown by windlass migrate --help.
func (Command) Help() string {
	return `Applies the migrations of this binary in order, each in one transaction, under an advisory lock:
this command may run several times at once. Migrations only go forward, and a release works with the
schema of the next release.`
}

// Run migrates or checks.
func (c *Command) Run(ctx context.Context) error {
	if c.Check {
		return migrations.Check(ctx, c.DatabaseURL)
	}
	version, err := migrations.Apply(ctx, c.DatabaseURL)
	if err != nil {
		return err
	}
	_, err = fmt.Printf("schema at version %d\n", version)
	return err
}
