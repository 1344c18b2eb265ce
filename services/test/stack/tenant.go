package stack

import (
	"testing"

	"windlass.dev/windlass/pkg/store/keys"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/services/internal/apikey"
)

// As returns the same stack for a tenant's client. It has a new key of the
// tenant, which may do everything unless change restricts it.
func (s *Stack) As(tb testing.TB, tenant string, change ...func(*keys.NewKey)) *Stack {
	tb.Helper()
	pepper := apikey.Pepper(keyPepper)
	key := pepper.New()
	db, err := postgres.Open(postgres.Config{URL: s.DatabaseURL, MaxConns: 1})
	if err != nil {
		tb.Fatal(err)
	}
	defer db.Close()
	n := keys.NewKey{
		ID: key.ID, Tenant: tenant, Hash: pepper.Hash(key.Secret), Scopes: []string{apikey.ScopeResponses},
	}
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
