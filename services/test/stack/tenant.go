package stack

import (
	"testing"

	"windlass.dev/windlass/pkg/store/keys"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/services/internal/apikey"
)

// As is the same stack to a client of a tenant: it sends a new key of that one's, which may do everything unless change says otherwise.
func (s *Stack) As(tb testing.TB, tenant string, change ...func(*keys.NewKey)) *Stack {
	tb.Helper()
	pepper := apikey.Pepper(keyPepper)
	key := pepper.New()
	db, err := postgres.Open(postgres.Config{URL: s.DatabaseURL, MaxConns: 1})
	if err != nil {
		tb.Fatal(err)
	}
	defer db.Close()
	n := keys.NewKey{ID: key.ID, Tenant: tenant, Hash: pepper.Hash(key.Secret), Scopes: []string{apikey.ScopeResponses}}
	for _, c := range change {
		c(&n)
	}
	if _, err := keys.New(db).Create(tb.Context(), n); err != nil {
		tb.Fatal(err)
	}
	other := *s
	other.Key = key.String()
	return &other
}
