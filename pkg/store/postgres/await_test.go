package postgres_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/runtest"
	"windlass.dev/windlass/pkg/store/storetest"
)

func TestAwait(t *testing.T) {
	t.Parallel()
	dbURL := storetest.Database(t, runtest.Migrate)
	u, err := url.Parse(dbURL)
	if err != nil {
		t.Fatal(err)
	}
	g := newGate(t, u.Host)
	g.set(refuses)
	behind := *u
	behind.Host = g.ln.Addr().String()
	badPassword := *u
	badPassword.User = url.UserPassword(u.User.Username(), "wrong")
	for _, tt := range []struct {
		name, url string
		limit     time.Duration
		want      string // in the error; empty: it comes
		refused   bool
		told      int
	}{
		{"there", dbURL, time.Minute, "", false, 0},
		{"not listening", "postgres://a:b@127.0.0.1:1/c", 700 * time.Millisecond, "connection refused", false, 1},
		{"comes later", behind.String(), time.Minute, "", false, 1},
		{"wrong password", badPassword.String(), time.Minute, "password authentication failed", true, 0},
		{"no such database", withDatabase(t, dbURL, "none"), time.Minute, `database "none" does not exist`, true, 0},
		{"unknown setting", dbURL + "&no_such_setting=1", time.Minute, "unrecognized configuration parameter", true, 0},
		{"no url", "postgres://a b", time.Minute, "parse the database url", false, 0},
	} {
		told := 0
		g.set(refuses)
		began := time.Now()
		err := postgres.Await(t.Context(), tt.url, tt.limit, func(error) {
			told++
			g.set(passes) // of the one that waits for it
		})
		said := fmt.Sprint(err)
		if (err == nil) != (tt.want == "") || !strings.Contains(said, tt.want) || errors.Is(err, postgres.ErrRefused) != tt.refused {
			t.Errorf("%s: Await = %v, want %q, for good: %t", tt.name, err, tt.want, tt.refused)
		}
		if told < tt.told || tt.told == 0 && told > 0 {
			t.Errorf("%s: told %d reasons, want %d", tt.name, told, tt.told)
		}
		if tt.refused && time.Since(began) > 5*time.Second {
			t.Errorf("%s: waited %s for what does not pass", tt.name, time.Since(began))
		}
	}
}
