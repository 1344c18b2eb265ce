package postgres_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"windlass.dev/windlass/pkg/store/postgres"
)

// documented is docs/postgres.md.
func documented(tb testing.TB) string {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "postgres.md"))
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
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
		if !postgres.Unavailable(&pgconn.PgError{Code: whole, Severity: "ERROR"}) {
			t.Errorf("%s is documented as one that passes, and is not repeated", code)
		}
	}
	for _, class := range postgres.TransientClasses {
		if !slices.Contains(codes, class+"xxx") {
			t.Errorf("class %s is not documented", class)
		}
	}
	for _, code := range postgres.TransientCodes {
		if !slices.Contains(codes, code) {
			t.Errorf("%s is not documented", code)
		}
	}
}

func TestDocumentedURLs(t *testing.T) {
	t.Parallel()
	found := regexp.MustCompile(`postgres://\S+`).FindAllString(documented(t), -1)
	for _, text := range found {
		if err := postgres.ParseURL(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	if len(found) < 3 {
		t.Errorf("%d URLs are documented, want at least 3", len(found))
	}
}
