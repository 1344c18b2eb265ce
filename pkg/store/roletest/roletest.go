// Package roletest gives tests the database roles that deploy/postgres ships.
package roletest

import (
	"context"
	"crypto/rand"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// names of the roles, without windlass_, by the service that uses them.
var names = map[string]string{
	"owner": "owner", "gateway": "gateway", "claimer": "claimer", "loop-orchestrator": "orchestrator",
	"finalizer": "finalizer", "keys": "keys", "ro": "ro",
}

// Roles are roles with names of their own, because roles are the server's,
// which other tests use, too.
type Roles struct {
	admin    string // the URL of a superuser
	prefix   string
	password string
}

// Make runs roles.sql in the database of a superuser's URL. The roles go with
// the test.
func Make(tb testing.TB, admin string) Roles {
	tb.Helper()
	r := Roles{admin: admin, prefix: "test_" + strings.ToLower(rand.Text()[:10]) + "_", password: rand.Text()}
	r.run(tb, admin, "roles.sql")
	for _, name := range names {
		exec(tb, admin, `ALTER ROLE `+r.prefix+name+` PASSWORD '`+r.password+`'`)
	}
	tb.Cleanup(func() {
		if conn, err := pgx.Connect(context.WithoutCancel(tb.Context()), admin); err != nil {
			return // the test ended the server, and so its roles
		} else if err := conn.Close(context.WithoutCancel(tb.Context())); err != nil {
			tb.Error(err)
		}
		for _, name := range names {
			role := r.prefix + name
			exec(tb, admin, `REASSIGN OWNED BY `+role+` TO CURRENT_USER; DROP OWNED BY `+role+`; DROP ROLE `+role)
		}
	})
	return r
}

// Granted makes roles with their rights in a migrated database.
func Granted(tb testing.TB, admin string) Roles {
	tb.Helper()
	r := Make(tb, admin)
	r.run(tb, admin, "grants.sql")
	return r
}

// GrantAs runs grants.sql by the URL of the tables' owner.
func (r Roles) GrantAs(tb testing.TB, owner string) {
	tb.Helper()
	r.run(tb, owner, "grants.sql")
}

// Name returns a service's role.
func (r Roles) Name(service string) string { return r.prefix + names[service] }

// URL returns the database's URL for a service, or for owner, keys and ro.
func (r Roles) URL(tb testing.TB, service string) string {
	tb.Helper()
	u, err := url.Parse(r.admin)
	if err != nil || names[service] == "" {
		tb.Fatalf("%q has no role, or the database's URL is wrong: %v", service, err)
	}
	u.User = url.UserPassword(r.Name(service), r.password)
	return u.String()
}

func (r Roles) run(tb testing.TB, as, file string) {
	tb.Helper()
	_, here, _, _ := runtime.Caller(0)
	sql, err := os.ReadFile(filepath.Join(filepath.Dir(here), "../../../deploy/postgres", file))
	if err != nil {
		tb.Fatal(err)
	}
	exec(tb, as, strings.ReplaceAll(string(sql), "windlass_", r.prefix))
}

func exec(tb testing.TB, as, sql string) {
	tb.Helper()
	ctx := context.WithoutCancel(tb.Context()) // clean-up runs after its end
	conn, err := pgx.Connect(ctx, as)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.PgConn().Exec(ctx, sql).ReadAll(); err != nil {
		tb.Errorf("%.60s: %v", sql, err)
	}
}
