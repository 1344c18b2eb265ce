package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/services/internal/apikey"
)

// keysCmd makes, lists and revokes the API keys of tenants.
type keysCmd struct {
	Create keysCreateCmd `cmd:"" help:"Make a key and print it, once."`
	List   keysListCmd   `cmd:"" help:"List keys, the revoked and expired ones too."`
	Revoke keysRevokeCmd `cmd:"" help:"End a key for good; gateways hear of it within 5 s."`
}

// keysDatabase is where keys are kept.
type keysDatabase struct {
	DatabaseURL string `help:"Database of the keys." env:"WINDLASS_DATABASE_URL" required:"" placeholder:"URL"`
}

// use opens the store for one command.
func (d keysDatabase) use(do func(*store.Store) error) error {
	db, err := postgres.Open(postgres.Config{URL: d.DatabaseURL, MaxConns: 1})
	if err != nil {
		return err
	}
	defer db.Close()
	s := store.New(db)
	return do(s)
}

type keysCreateCmd struct {
	keysDatabase
	KeyPepper string        `help:"The gateways' pepper, at least 16 bytes." env:"WINDLASS_KEY_PEPPER" required:"" placeholder:"SECRET"`
	Tenant    string        `help:"Whose requests the key makes and sees." required:"" placeholder:"T"`
	Name      string        `help:"What the key is for; shown by list."`
	Models    []string      `help:"Models the key may use, by their names in the registry; all without it." placeholder:"A,B"`
	Tools     []string      `help:"Registered tools that requests may offer to their models; all without it." placeholder:"A,B" xor:"tools"`
	NoTools   bool          `help:"No registered tool at all." xor:"tools"`
	Scopes    []string      `help:"responses (everything but keys), read (of that GETs only), admin (the tenant's keys, at /v1/keys)." enum:"responses,read,admin" default:"responses"`
	Expires   time.Duration `help:"How long the key lives, like 720h; without it until it is revoked." placeholder:"DURATION"`
	Config    string        `help:"Registry (YAML) that --models and --tools are checked against." env:"WINDLASS_REGISTRY" placeholder:"FILE"`
	Data      string        `help:"Data folder of windlass dev, whose names count without --config if its database is the one given." env:"WINDLASS_DATA" default:"./.windlass"`
}

// Help is shown by windlass keys create --help.
func (keysCreateCmd) Help() string {
	return `Prints the key on standard output and nothing else. It is not kept: the database holds an HMAC of it under the pepper, and the
gateways need the same pepper. A lost key is revoked, and another one made.

Models and tools that the registry of --config does not have are refused. Without --config the names are those of windlass dev if
--database-url is the one in its data folder; other names are not checked.

For windlass dev, the two required secrets are in its data folder:

  windlass keys create --tenant acme \
      --database-url "$(cat .windlass/database.url)" --key-pepper "$(cat .windlass/key.pepper)"`
}

// AfterApply is called by kong when every required flag is there.
func (c *keysCreateCmd) AfterApply() error {
	errs := []error{apikey.CheckTenant(c.Tenant), apikey.Pepper(c.KeyPepper).Check()}
	if c.Expires < 0 {
		errs = append(errs, fmt.Errorf("--expires is %s, want more than 0", c.Expires))
	}
	if len(c.Scopes) == 0 {
		errs = append(errs, errors.New("--scopes is empty"))
	}
	if slices.Contains(c.Models, "") {
		errs = append(errs, errors.New("--models has an empty name"))
	}
	if slices.Contains(c.Tools, "") {
		errs = append(errs, errors.New("--tools has an empty name; use --no-tools for none"))
	}
	return errors.Join(errs...)
}

// Run makes a key.
func (c *keysCreateCmd) Run(ctx context.Context) error {
	if err := c.checkNames(); err != nil {
		return &usageError{error: err, command: "windlass keys create"}
	}
	return c.use(func(s *store.Store) error {
		pepper := apikey.Pepper(c.KeyPepper)
		key := pepper.New()
		n := store.NewKey{
			ID: key.ID, Tenant: c.Tenant, Name: c.Name, Hash: pepper.Hash(key.Secret), Scopes: c.Scopes, Models: c.Models, Tools: c.Tools,
			TTL: c.Expires,
		}
		if c.NoTools {
			n.Tools = []string{}
		}
		if _, err := s.CreateKey(ctx, n); err != nil {
			return err
		}
		_, err := fmt.Println(key)
		return err
	})
}

type keysListCmd struct {
	keysDatabase
	Tenant string `help:"Only this tenant's." placeholder:"T"`
}

// Run prints a table.
func (c *keysListCmd) Run(ctx context.Context) error {
	return c.use(func(s *store.Store) error {
		keys, err := s.ListKeys(ctx, c.Tenant)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "ID\tTENANT\tNAME\tSCOPES\tMODELS\tTOOLS\tCREATED\tSTATE")
		for _, k := range keys {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Tenant, oneLine(k.Name), strings.Join(k.Scopes, ","),
				someOf(k.Models), someOf(k.Tools), k.CreatedAt.UTC().Format(time.RFC3339), stateOf(&k))
		}
		return table.Flush()
	})
}

// someOf is what a key may use, in one column.
func someOf(names []string) string {
	switch {
	case names == nil:
		return "all"
	case len(names) == 0:
		return "none"
	}
	return oneLine(strings.Join(names, ","))
}

// stateOf says since or until when, too.
func stateOf(k *store.Key) string {
	state := k.State()
	switch {
	case k.RevokedAt != nil:
		return state + " " + k.RevokedAt.UTC().Format(time.RFC3339)
	case k.ExpiresAt != nil && state == "active":
		return state + " until " + k.ExpiresAt.UTC().Format(time.RFC3339)
	case k.ExpiresAt != nil:
		return state + " " + k.ExpiresAt.UTC().Format(time.RFC3339)
	}
	return state
}

// oneLine keeps what people typed from breaking the table, and the terminal.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}

type keysRevokeCmd struct {
	keysDatabase
	ID string `arg:"" help:"The key's id, as list shows it: what stands between wl_ and the next _."`
}

// Run revokes a key. Once more is no error.
func (c *keysRevokeCmd) Run(ctx context.Context) error {
	return c.use(func(s *store.Store) error {
		key, err := s.RevokeKey(ctx, "", c.ID)
		if errors.Is(err, store.ErrNotFound) {
			return errors.New("no key has this id") // what was given may be a whole key
		}
		if err != nil {
			return err
		}
		_, err = fmt.Printf("%s of tenant %s is revoked\n", key.ID, key.Tenant)
		return err
	})
}
