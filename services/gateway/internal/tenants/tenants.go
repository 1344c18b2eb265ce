// Package tenants follows the tenants in the registry file. Of that file the
// gateway reads only the tenants again when it changes: models and tools are
// read by the other services too, and all have to agree. A file with a fault
// changes nothing (TestTenantsAreReadAgain in package gateway).
package tenants

import (
	"bytes"
	"context"
	"os"
	"reflect"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/retry"
)

// pollInterval is how often the registry file is read. A change is applied once
// two reads have found the same content: editors write files in pieces, and a
// tenant whose end is missing has no limits.
const pollInterval = time.Second

// Live are the tenants' limits and models, as the registry file has them now.
// Nothing else in the file changes without a restart, because all services read
// it and have to agree. It is safe for concurrent use.
type Live struct {
	file   string // "" if no file is followed
	log    *zap.Logger
	forget func(ctx context.Context, limited []string) error // all tenants' used tokens, except those of limited

	current atomic.Pointer[registry.Registry]

	// Only Follow uses these.
	seen, taken []byte
	first       *registry.Registry // what the file said at the start
	missing     bool
}

// New returns the tenants of reg, and follows file unless it is "". forget
// is called with the names of the tenants that have a limit of tokens.
func New(
	reg *registry.Registry, file string, log *zap.Logger, forget func(ctx context.Context, limited []string) error,
) *Live {
	t := &Live{file: file, log: log, forget: forget}
	t.current.Store(reg)
	return t
}

// Find returns a tenant by its name.
func (t *Live) Find(tenant string) registry.Tenant { return t.current.Load().Tenant(tenant) }

// Follow applies changes of the file until ctx ends.
func (t *Live) Follow(ctx context.Context) {
	forgotten := t.forgetTokens(ctx)
	for retry.Sleep(ctx, pollInterval) {
		if t.file != "" && t.reload() {
			forgotten = false
		}
		if !forgotten { // the database was away
			forgotten = t.forgetTokens(ctx)
		}
	}
}

// reload reads the file and reports whether the tenants have changed.
func (t *Live) reload() bool {
	data, err := os.ReadFile(t.file)
	if err != nil {
		if !t.missing {
			t.log.Error("registry file not read, tenants stay as they were", zap.Error(err))
		}
		t.missing = true
		return false
	}
	t.missing = false
	settled := bytes.Equal(data, t.seen)
	if t.seen = data; !settled || bytes.Equal(data, t.taken) {
		return false
	}
	t.taken = data
	return t.apply(data)
}

// apply uses the tenants of a registry, unless there is a fault anywhere in it.
func (t *Live) apply(data []byte) bool {
	next, err := registry.Parse(t.file, data)
	if err != nil {
		t.log.Error("registry file refused, tenants stay as they were", zap.Error(err))
		return false
	}
	if t.first == nil {
		t.first = next
	}
	if !t.first.SameButTenants(next) {
		t.log.Warn("registry file changed, but for tenants that takes a restart of all services")
	}
	before := t.current.Load()
	if reflect.DeepEqual(before.Tenants(), next.Tenants()) {
		return false
	}
	t.current.Store(next)
	t.log.Info("tenants read again")
	return true
}

// forgetTokens ends the charging of tokens to tenants without a limit of them.
// It reports whether it succeeded.
func (t *Live) forgetTokens(ctx context.Context) bool {
	reg := t.current.Load()
	limited := []string{}
	for _, one := range reg.Tenants() {
		if one.TokensPerMinute > 0 {
			limited = append(limited, one.Name)
		}
	}
	if reg.Tenant("*").TokensPerMinute > 0 { // and so have all tenants
		return true
	}
	return t.forget(ctx, limited) == nil
}
