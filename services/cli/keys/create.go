package keys

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"windlass.dev/windlass/pkg/store/keys"
	"windlass.dev/windlass/services/internal/apikey"
)

type create struct {
	database
	KeyPepper string        `help:"The gateways' pepper, at least 16 bytes." env:"WINDLASS_KEY_PEPPER" required:"" placeholder:"SECRET"`
	Tenant    string        `help:"Tenant whose requests the key makes and reads." required:"" placeholder:"T"`
	Name      string        `help:"What the key is for; list shows it."`
	Models    []string      `help:"Models that the key may use, by their names in the registry. Default: all." placeholder:"A,B"`
	Tools     []string      `help:"Registered tools that requests may offer to their models. Default: all." placeholder:"A,B" xor:"tools"`
	NoTools   bool          `help:"No registered tools." xor:"tools"`
	Scopes    []string      `help:"responses (everything except keys), read (only the GETs of that), admin (the tenant's keys, at /v1/keys)." enum:"responses,read,admin" default:"responses"`
	Expires   time.Duration `help:"How long the key is valid, like 720h. Default: until it is revoked." placeholder:"DURATION"`
	Config    string        `help:"Registry (YAML) to check --models and --tools against." env:"WINDLASS_REGISTRY" placeholder:"FILE"`
	Data      string        `help:"Data folder of windlass dev. Its names are used without --config if --database-url is its database." env:"WINDLASS_DATA" default:"./.windlass"`
}

// Help is shown by windlass keys create --help.
func (create) Help() string {
	return `Prints the key on standard output and nothing else. The key is not stored: the database has an HMAC
of it under the pepper, and the gateways need the same pepper. If a key is lost, revoke it and make
another one.

Models and tools that the registry of --config does not have are refused. Without --config, the
names of windlass dev are used if --database-url is the one in its data folder; other names are not
checked.

For windlass dev, the two required secrets are in its data folder:

  windlass keys create --tenant acme \
      --database-url "$(cat .windlass/database.url)" --key-pepper "$(cat .windlass/key.pepper)"`
}

// AfterApply is called by kong when every flag has its value.
func (c *create) AfterApply() error {
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
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return c.checkNames()
}

// Run makes a key.
func (c *create) Run(ctx context.Context) error {
	return c.use(func(s *keys.Store) error {
		pepper := apikey.Pepper(c.KeyPepper)
		key := pepper.New()
		n := keys.NewKey{
			ID: key.ID, Tenant: c.Tenant, Name: c.Name, Hash: pepper.Hash(key.Secret), Scopes: c.Scopes,
			Models: c.Models, Tools: c.Tools, TTL: c.Expires,
		}
		if c.NoTools {
			n.Tools = []string{}
		}
		if _, err := s.Create(ctx, n); err != nil {
			return err
		}
		_, err := fmt.Println(key)
		return err
	})
}
