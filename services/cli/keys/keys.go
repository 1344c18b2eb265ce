// Package keys is `windlass keys`: it makes, lists and revokes the API keys of
// tenants in the database of an installation.
package keys

import (
	"windlass.dev/windlass/pkg/store/keys"
	"windlass.dev/windlass/pkg/store/postgres"
)

// Command makes, lists and revokes the API keys of tenants.
type Command struct {
	Create create `cmd:"" help:"Make a key and print it once."`
	List   list   `cmd:"" help:"List keys, including revoked and expired ones."`
	Revoke revoke `cmd:"" help:"Revoke a key for good. Gateways refuse it within 5 s."`
}

// database is where keys are kept.
type database struct {
	DatabaseURL string `help:"Database of the keys." env:"WINDLASS_DATABASE_URL" required:"" placeholder:"URL"`
}

// use opens the store for one command.
func (d database) use(do func(*keys.Store) error) error {
	db, err := postgres.Open(postgres.Config{URL: d.DatabaseURL, MaxConns: 1})
	if err != nil {
		return err
	}
	defer db.Close()
	return do(keys.New(db))
}
