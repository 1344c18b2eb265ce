package postgres_test

import (
	"testing"

	"windlass.dev/windlass/pkg/store/postgres"
)

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		cfg  postgres.Config
		want bool
	}{
		{"complete", postgres.Config{URL: "postgres://x/y", MaxConns: 1}, true},
		{"no url", postgres.Config{MaxConns: 1}, false},
		{"no connections", postgres.Config{URL: "postgres://x/y"}, false},
	} {
		if err := tt.cfg.Validate(); (err == nil) != tt.want {
			t.Errorf("%s: Validate() = %v, want ok %v", tt.name, err, tt.want)
		}
	}
}
