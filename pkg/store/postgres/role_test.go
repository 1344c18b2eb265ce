package postgres_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/localpg/pgbouncer"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/limits"
	"windlass.dev/windlass/pkg/store/migrations"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/runtest"
	"windlass.dev/windlass/pkg/store/storetest"
)

// block is the first code block of a language.
func block(tb testing.TB, language string) string {
	tb.Helper()
	_, rest, found := strings.Cut(documented(tb), "```"+language+"\n")
	text, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		tb.Fatalf("docs/postgres.md has no block of %s", language)
	}
	return text
}

// A role with the documented rights can do all that services do.
func TestDocumentedRole(t *testing.T) {
	t.Parallel()
	dbURL := storetest.Database(t, runtest.Migrate)
	owner := runtest.OpenAt(t, dbURL)
	u, err := url.Parse(dbURL)
	if err != nil {
		t.Fatal(err)
	}
	role := "app_" + strings.TrimPrefix(u.Path, "/") // roles are the server's, which other tests use too
	runtest.Exec(t, owner, strings.ReplaceAll(block(t, "sql"), "windlass_app", role))
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		admin, err := pgx.Connect(ctx, dbURL)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = admin.Close(ctx) }()
		if _, err := admin.Exec(ctx, `DROP OWNED BY `+role+`; DROP ROLE `+role); err != nil {
			t.Errorf("drop the role: %v", err)
		}
	})
	u.User = url.UserPassword(role, "PASSWORD")
	db, err := postgres.Open(postgres.Config{URL: u.String(), MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s := runtest.New(db)
	for _, a := range attempts(t, s, s) {
		if err := a.do(t.Context()); err != nil {
			t.Errorf("%s: %v", a.name, err)
		}
	}
	if _, err := s.Accept(t.Context(), guardedRequest()); err != nil {
		t.Errorf("a request with a key and limits: %v", err)
	}
	if err := migrations.Check(t.Context(), u.String()); err != nil {
		t.Errorf("check the schema: %v", err)
	}
}

// guardedRequest is one with an idempotency key and limits.
func guardedRequest() store.NewRequest {
	n := runtest.NewRequest()
	n.Once, n.Limits = runtest.Key("k"), limits.Limits{Requests: limits.Rate{PerMinute: 60, Burst: 60}, InFlight: 10}
	return n
}

// The documented settings of PgBouncer serve migrations and statements.
func TestDocumentedPooler(t *testing.T) {
	t.Parallel()
	direct := storetest.Database(t, runtest.Migrate)
	_, lines, _ := strings.Cut(block(t, "ini"), "\n") // the section's name is there
	dbURL := pooler(t, direct, pgbouncer.Config{More: lines})
	if _, err := migrations.Apply(t.Context(), dbURL); err != nil {
		t.Errorf("migrate: %v", err)
	}
	s := runtest.OpenAt(t, dbURL)
	for _, a := range attempts(t, s, s) {
		if err := a.do(t.Context()); err != nil {
			t.Errorf("%s: %v", a.name, err)
		}
	}
}
