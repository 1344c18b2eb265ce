package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"windlass.dev/windlass/pkg/localpg/pgbouncer"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/migrations"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/runtest"
	"windlass.dev/windlass/pkg/store/storetest"
)

const ignored = "ignore_startup_parameters = extra_float_digits,statement_timeout,lock_timeout,jit,enable_sort"

// Every statement works behind PgBouncer, whatever its settings, as migrations
// do.
func TestStatementsBehindAPooler(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		cfg  pgbouncer.Config

		query string // more of the URL
	}{
		{"transaction mode", pgbouncer.Config{}, ""},
		{"transaction mode with one server connection for each two of ours", pgbouncer.Config{Size: 2}, ""},
		{"parameters ignored", pgbouncer.Config{More: ignored}, ""},
		{"session mode", pgbouncer.Config{Mode: "session", Size: 20}, ""},
		{"a URL for Prisma", pgbouncer.Config{}, "&pgbouncer=true&connection_limit=1"},
		{"a URL for pgx", pgbouncer.Config{}, "&default_query_exec_mode=simple_protocol&statement_cache_capacity=0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			direct := storetest.Database(t, func(context.Context, string) error { return nil })
			url := pooler(t, direct, tt.cfg) + tt.query
			if _, err := migrations.Apply(t.Context(), url); err != nil {
				t.Fatalf("migrate: %v", err)
			}
			if err := migrations.Check(t.Context(), url); err != nil {
				t.Errorf("check the schema: %v", err)
			}
			s := runtest.OpenAt(t, url)
			for range 3 { // with other server connections each time
				for _, a := range attempts(t, s, s) {
					if err := a.do(t.Context()); err != nil {
						t.Errorf("%s: %v", a.name, err)
					}
				}
			}
			if err := s.DB.Ping(t.Context()); err != nil {
				t.Errorf("ping: %v", err)
			}
		})
	}
}

// A schema that is current needs one connection only, however many try.
func TestMigrateThroughOneServerConnection(t *testing.T) {
	t.Parallel()
	url := pooler(t, storetest.Database(t, runtest.Migrate), pgbouncer.Config{Size: 1})
	if _, err := migrations.Apply(t.Context(), url); err != nil {
		t.Errorf("migrate: %v", err)
	}
	runtest.Accepted(t, runtest.OpenAt(t, url))
}

// A failed statement behind a pooler writes nothing and reports its own error.
func TestFailedStatementBehindAPooler(t *testing.T) {
	t.Parallel()
	direct := storetest.Database(t, runtest.Migrate)
	s := runtest.OpenAt(t, pooler(t, direct, pgbouncer.Config{Size: 1}))
	runtest.Accepted(t, s)
	runtest.Exec(t, s, `ALTER TABLE requests ADD CONSTRAINT bug CHECK (lane <> 'broken')`)
	n := runtest.NewRequest()
	n.Lane = "broken"
	if _, err := s.Accept(t.Context(), n); codeOf(err) != "23514" || postgres.Unavailable(err) {
		t.Errorf("a refused accept = %v, want the check violation, which is final", err)
	}
	if _, err := s.Look(t.Context(), n.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the refused request: %v, want ErrNotFound", err)
	}
	runtest.Accepted(t, s)
}

// A pooler that refuses for good is named once, in the log and by Ping.
func TestRefusedConnectionIsLoggedOnce(t *testing.T) {
	t.Parallel()
	direct := storetest.Database(t, runtest.Migrate)
	refusing := pooler(t, direct, pgbouncer.Config{}) + "&enable_sort=off"
	for _, tt := range []struct{ name, url, want string }{
		{"startup parameter", refusing, "unsupported startup parameter: enable_sort"},
		{"database", withDatabase(t, direct, "not_there"), `database "not_there" does not exist`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			core, logs := observer.New(zap.InfoLevel)
			db, err := postgres.Open(postgres.Config{URL: tt.url, MaxConns: 2, Log: zap.New(core)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(db.Close)
			s := runtest.New(db)
			for range 20 {
				if _, err := s.Look(t.Context(), uuid.New()); !postgres.Unavailable(err) {
					t.Fatalf("Look = %v, want an error that Unavailable knows", err)
				}
			}
			if err := s.DB.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Ping = %v, want it to name %q", err, tt.want)
			}
			lines := logs.All()
			if len(lines) != 1 || lines[0].Level != zapcore.ErrorLevel ||
				!strings.Contains(lines[0].ContextMap()["error"].(string), tt.want) {
				t.Errorf("logged %v, want one error that names %q", lines, tt.want)
			}
		})
	}
}
