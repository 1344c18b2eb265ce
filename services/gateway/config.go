package gateway

import (
	"errors"
	"fmt"
	"net"
	"time"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/services/gateway/internal/cost"
	"windlass.dev/windlass/services/gateway/internal/origins"
	"windlass.dev/windlass/services/internal/apikey"
	"windlass.dev/windlass/services/internal/compaction"
)

// Config is read from the environment, except for the last four fields, which
// the caller of Run sets.
type Config struct {
	Store postgres.Config
	Bus   bus.Config
	// RegistryFile names the models, the tools and the tenants, which are read
	// again when it changes. With Registry set, only the tenants are read, and
	// only when they change.
	RegistryFile string `env:"WINDLASS_REGISTRY"`
	// Listen is the TCP address of the API.
	Listen string `env:"WINDLASS_LISTEN, default=127.0.0.1:8080"`
	// Hosts are the names under which the API may be called, separated by
	// commas, besides addresses and localhost. Empty: every name.
	Hosts []string `env:"WINDLASS_HOSTS"`
	// APIKey is what clients of the tenant "default" send as bearer token; it
	// has every right. Empty: there is no such key.
	APIKey string `env:"WINDLASS_API_KEY"`
	// KeyPepper is what keys made by windlass keys are checked with, at least
	// 16 bytes. Empty: they are not accepted.
	KeyPepper string `env:"WINDLASS_KEY_PEPPER"`
	// SealKeys seal and open what compaction items hold: secrets of at least 16
	// bytes, separated by commas. The first one seals, all of them open. Empty:
	// nothing is compacted.
	SealKeys string `env:"WINDLASS_SEAL_KEYS"`
	// CORSOrigins are the origins whose pages may call the API from a browser,
	// separated by commas: https://app.example.com, https://*.example.com,
	// http://localhost:*, loopback, null, or * for all. Empty: none.
	CORSOrigins []string `env:"WINDLASS_CORS_ORIGINS"`
	// MaxBody bounds a request body, in bytes.
	MaxBody int64 `env:"WINDLASS_MAX_BODY, default=16777216"`
	// BacklogMax is the number of queued requests from which on new ones are
	// refused with 429.
	BacklogMax int `env:"WINDLASS_BACKLOG_MAX, default=100000"`
	// PollInterval is how often the rows of waiting clients are looked at, for
	// ends whose hint was lost.
	PollInterval time.Duration `env:"WINDLASS_WAIT_POLL, default=1s"`
	// DrainGrace is how long waiting clients may go on waiting once the drain
	// began.
	DrainGrace time.Duration `env:"WINDLASS_DRAIN_GRACE, default=18s"`

	// Registry, if set, is used instead of the file, as long as that does not
	// change.
	Registry *registry.Registry `env:", noinit"`
	// Runtime is required.
	Runtime *process.Runtime `env:", noinit"`
	// Listener, if set, is served instead of Listen. Run closes it.
	Listener net.Listener
	// SocketLife is how long a WebSocket may live; 0 is the specification's
	// hour.
	SocketLife time.Duration `env:", noinit"`
}

// Validate reports every fault at once.
func (c *Config) Validate() error {
	errs := []error{c.Store.Validate(), c.Bus.Validate()}
	if c.Registry == nil && c.RegistryFile == "" {
		errs = append(errs, errors.New("WINDLASS_REGISTRY is empty"))
	}
	if c.Listener == nil && c.Listen == "" {
		errs = append(errs, errors.New("WINDLASS_LISTEN is empty"))
	}
	if c.APIKey == "" && c.KeyPepper == "" {
		errs = append(errs, errors.New("WINDLASS_API_KEY and WINDLASS_KEY_PEPPER are empty: no key would be accepted"))
	}
	if c.KeyPepper != "" {
		if err := apikey.Pepper(c.KeyPepper).Check(); err != nil {
			errs = append(errs, fmt.Errorf("WINDLASS_KEY_PEPPER: %w", err))
		}
	}
	if _, err := compaction.ReadKeys(c.SealKeys); err != nil {
		errs = append(errs, fmt.Errorf("WINDLASS_SEAL_KEYS: %w", err))
	}
	if _, err := origins.Parse(c.CORSOrigins); err != nil {
		errs = append(errs, fmt.Errorf("WINDLASS_CORS_ORIGINS: %w", err))
	}
	if c.MaxBody < 1 {
		errs = append(errs, fmt.Errorf("WINDLASS_MAX_BODY is %d, want at least 1", c.MaxBody))
	}
	if c.Runtime != nil && cost.Max(c.MaxBody) > c.Runtime.Memory.KeyShare() {
		errs = append(errs, fmt.Errorf("WINDLASS_MAX_BODY is %d, too much for WINDLASS_MEMORY_MAX: want at most %d",
			c.MaxBody, c.Runtime.Memory.KeyShare()/cost.Max(1)))
	}
	if c.BacklogMax < 1 {
		errs = append(errs, fmt.Errorf("WINDLASS_BACKLOG_MAX is %d, want at least 1", c.BacklogMax))
	}
	if c.PollInterval <= 0 {
		errs = append(errs, fmt.Errorf("WINDLASS_WAIT_POLL is %s, want more than 0", c.PollInterval))
	}
	if c.DrainGrace <= 0 {
		errs = append(errs, fmt.Errorf("WINDLASS_DRAIN_GRACE is %s, want more than 0", c.DrainGrace))
	}
	return errors.Join(errs...)
}
