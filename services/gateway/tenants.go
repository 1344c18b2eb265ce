package gateway

import (
	"bytes"
	"context"
	"os"
	"reflect"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/registry"
)

// tenantsLook is how often the registry file is looked at. A change counts once two looks have seen the same: editors and copies
// write files in pieces, and a tenant that is cut off has no limits.
const tenantsLook = time.Second

// tenants are what tenants may have, as the registry file says it now. Of all that is in the file only they change without a restart:
// the rest is read by the other services too, which have to agree on it. Safe for concurrent use.
type tenants struct {
	file string // "": nothing is followed
	log  *zap.Logger
	// forget ends the charging of tokens for all tenants but those.
	forget func(ctx context.Context, limited []string) error

	current atomic.Pointer[registry.Registry]

	// Of follow alone.
	seen, taken []byte
	first       *registry.Registry // what the file said at the start
	missing     bool
}

func newTenants(cfg Config, forget func(context.Context, []string) error) *tenants {
	t := &tenants{file: cfg.RegistryFile, log: cfg.Runtime.Log, forget: forget}
	t.current.Store(cfg.Registry)
	return t
}

// of is what the tenant may have.
func (t *tenants) of(tenant string) registry.Tenant { return t.current.Load().Tenant(tenant) }

// follow takes changes of the file over until ctx ends.
func (t *tenants) follow(ctx context.Context) {
	forgotten := t.forgetTokens(ctx)
	for process.Sleep(ctx, tenantsLook) {
		if t.file != "" && t.look() {
			forgotten = false
		}
		if !forgotten { // the database was away, too
			forgotten = t.forgetTokens(ctx)
		}
	}
}

// look reads the file and tells whether the tenants have changed.
func (t *tenants) look() bool {
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
	return t.take(data)
}

// take uses the tenants of a registry, unless there is a fault anywhere in it.
func (t *tenants) take(data []byte) bool {
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

// forgetTokens is false if it is to be tried again.
func (t *tenants) forgetTokens(ctx context.Context) bool {
	reg := t.current.Load()
	limited := []string{}
	for _, one := range reg.Tenants() {
		if one.TokensPerMinute > 0 {
			limited = append(limited, one.Name)
		}
	}
	if reg.Tenant("*").TokensPerMinute > 0 { // and so has everybody
		return true
	}
	return t.forget(ctx, limited) == nil
}
