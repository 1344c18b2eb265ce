package postgres_test

import (
	"errors"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/runtest"
)

func codeOf(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

func withDatabase(tb testing.TB, dbURL, name string) string {
	tb.Helper()
	u, err := url.Parse(dbURL)
	if err != nil {
		tb.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

// A bug or a broken schema is reported by the statement that meets it, with the
// server's own code, and its neighbours in a group are not affected.
func TestUnknownErrorIsNotAnOutage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, break_, code string }{
		{"column dropped", `ALTER TABLE requests DROP COLUMN lane CASCADE`, "42703"},
		{"table dropped", `DROP TABLE steps CASCADE`, "42P01"},
		{"check added", `ALTER TABLE requests ADD CONSTRAINT bug CHECK (model = 'other') NOT VALID`, "23514"},
		{"column of another type", `ALTER TABLE requests ALTER COLUMN tier TYPE text USING tier::text`, "42883"},
		{"privilege", `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE SQLSTATE '42501'; END $$;
			CREATE TRIGGER refuse BEFORE INSERT ON requests FOR EACH ROW EXECUTE FUNCTION refuse()`, "42501"},
		{"encoding", `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE SQLSTATE '22P05'; END $$;
			CREATE TRIGGER refuse BEFORE INSERT ON requests FOR EACH ROW EXECUTE FUNCTION refuse()`, "22P05"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := runtest.Open(t)
			runtest.Exec(t, s, tt.break_)
			if _, err := s.Accept(t.Context(), runtest.NewRequest()); codeOf(err) != tt.code || postgres.Unavailable(err) {
				t.Errorf("Accept = %v (Unavailable %t), want %s, which is final", err, postgres.Unavailable(err), tt.code)
			}
		})
	}
}

// scripted makes the next inserts into requests fail with a code.
func scripted(tb testing.TB, s *runtest.World, code string) (end func()) {
	tb.Helper()
	runtest.Exec(tb, s, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE SQLSTATE '`+code+`'; END $$`)
	runtest.Exec(tb, s, `CREATE TRIGGER refuse BEFORE INSERT ON requests FOR EACH ROW EXECUTE FUNCTION refuse()`)
	return func() { runtest.Exec(tb, s, `DROP TRIGGER refuse ON requests`) }
}

// A connection that got one of these is never used again, and with those that
// concern the server neither are its neighbours.
func TestCondemnedConnectionIsNotReused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		code string
		all  bool
	}{
		{"25006", true}, {"57P01", true}, {"57P02", true}, {"57P03", true}, {"26000", false}, {"25P02", false},
	} {
		t.Run(tt.code, func(t *testing.T) {
			t.Parallel()
			s := runtest.Open(t)
			end := scripted(t, s, tt.code)
			before := sessions(t, s, 4)
			_, err := s.Accept(t.Context(), runtest.NewRequest())
			if codeOf(err) != tt.code || !postgres.Unavailable(err) {
				t.Errorf("Accept = %v, want %s, which may be repeated", err, tt.code)
			}
			after := sessions(t, s, 4)
			kept := 0
			for pid := range before {
				if after[pid] {
					kept++
				}
			}
			if want := map[bool]int{true: 0, false: 3}[tt.all]; kept != want {
				t.Errorf("%d of 4 sessions are still in the pool, want %d", kept, want)
			}
			end()
			if _, err := s.Accept(t.Context(), runtest.NewRequest()); err != nil {
				t.Errorf("Accept, repeated: %v", err)
			}
		})
	}
}

// Errors that concern a statement leave its connection in the pool.
func TestHarmlessErrorKeepsTheConnection(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"23505", "40001", "40P01", "53100", "42703"} {
		s := runtest.Open(t)
		scripted(t, s, code)
		before := sessions(t, s, 2)
		if _, err := s.Accept(t.Context(), runtest.NewRequest()); codeOf(err) != code {
			t.Errorf("Accept = %v, want %s", err, code)
		}
		for pid := range sessions(t, s, 2) {
			if !before[pid] {
				t.Errorf("after %s session %d is new, want the old ones", code, pid)
			}
		}
	}
}

// sessions are the process ids of n sessions of the pool, all taken at a time.
func sessions(tb testing.TB, s *runtest.World, n int) map[uint32]bool {
	tb.Helper()
	pids := map[uint32]bool{}
	for range n {
		conn, err := s.DB.Acquire(tb.Context())
		if err != nil {
			tb.Fatal(err)
		}
		defer conn.Release()
		pids[conn.Conn().PgConn().PID()] = true
	}
	return pids
}
