package store

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"windlass.dev/windlass/pkg/localpg/pgbouncer"
	"windlass.dev/windlass/pkg/store/storetest"
)

// documented is docs/postgres.md.
func documented(tb testing.TB) string {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "postgres.md"))
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

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

// The documented table of transient codes is the one that is used.
func TestDocumentedCodes(t *testing.T) {
	t.Parallel()
	text := documented(t)
	rows := regexp.MustCompile("(?m)^\\| (`[0-9A-Zx`, ]+) \\|").FindAllStringSubmatch(text, -1)
	var codes []string
	for _, row := range rows {
		for code := range strings.SplitSeq(row[1], ",") {
			codes = append(codes, strings.Trim(code, "` "))
		}
	}
	for _, code := range codes {
		whole := strings.ReplaceAll(code, "xxx", "000")
		if !Unavailable(&pgconn.PgError{Code: whole, Severity: "ERROR"}) {
			t.Errorf("%s is documented as one that passes, and is not repeated", code)
		}
	}
	for _, class := range transientClasses {
		if !slices.Contains(codes, class+"xxx") {
			t.Errorf("class %s is not documented", class)
		}
	}
	for _, code := range transientCodes {
		if !slices.Contains(codes, code) {
			t.Errorf("%s is not documented", code)
		}
	}
}

func TestDocumentedURLs(t *testing.T) {
	t.Parallel()
	found := regexp.MustCompile(`postgres://\S+`).FindAllString(documented(t), -1)
	for _, text := range found {
		out := &outage{}
		if _, err := poolConfig(text, out, &hosts{outage: out}); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	if len(found) < 3 {
		t.Errorf("%d URLs are documented, want at least 3", len(found))
	}
}

// A role with the documented rights can do all that services do.
func TestDocumentedRole(t *testing.T) {
	t.Parallel()
	dbURL := storetest.Database(t, migrateTemplate)
	owner := openAt(t, dbURL)
	u, err := url.Parse(dbURL)
	if err != nil {
		t.Fatal(err)
	}
	role := "app_" + strings.TrimPrefix(u.Path, "/") // roles are the server's, which other tests use too
	exec(t, owner, strings.ReplaceAll(block(t, "sql"), "windlass_app", role))
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
	s, err := Open(Config{URL: u.String(), MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, a := range attempts(t, s, s) {
		if err := a.do(t.Context()); err != nil {
			t.Errorf("%s: %v", a.name, err)
		}
	}
	if _, err := s.Accept(t.Context(), guardedRequest()); err != nil {
		t.Errorf("a request with a key and limits: %v", err)
	}
	if err := CheckSchema(t.Context(), u.String()); err != nil {
		t.Errorf("check the schema: %v", err)
	}
}

// guardedRequest is one with an idempotency key and limits.
func guardedRequest() NewRequest {
	n := newRequest()
	n.Once, n.Limits = once("k"), Limits{Requests: Rate{60, 60}, InFlight: 10}
	return n
}

// The documented settings of PgBouncer serve migrations and statements.
func TestDocumentedPooler(t *testing.T) {
	t.Parallel()
	direct := storetest.Database(t, migrateTemplate)
	_, lines, _ := strings.Cut(block(t, "ini"), "\n") // the section's name is there
	dbURL := pooler(t, direct, pgbouncer.Config{More: lines})
	if _, err := Migrate(t.Context(), dbURL); err != nil {
		t.Errorf("migrate: %v", err)
	}
	s := openAt(t, dbURL)
	for _, a := range attempts(t, s, s) {
		if err := a.do(t.Context()); err != nil {
			t.Errorf("%s: %v", a.name, err)
		}
	}
}
