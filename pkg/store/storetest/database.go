package storetest

import (
	"context"
	"strings"
	"testing"
)

// Database returns the URL of a fresh database that belongs to tb alone and is
// dropped at its end, with any session still open on it. migrate gets the URL
// of a template, once per test binary, and must have closed its connections
// when it returns; a nil migrate gives an empty database. A function is known
// by its code, so a closure must not depend on what it captured. tb fails if
// there is no server or no database. Safe for concurrent use; clones are made
// one after the other.
func Database(tb testing.TB, migrate func(ctx context.Context, url string) error) string {
	tb.Helper()
	name, dbURL, err := shared.clone(tb.Context(), migrate)
	if err != nil {
		tb.Fatalf("storetest: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	tb.Cleanup(func() {
		if err := shared.drop(tb.Context(), name); err != nil {
			tb.Errorf("storetest: %v", err)
		}
	})
	return dbURL
}
