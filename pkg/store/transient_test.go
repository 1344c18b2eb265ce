package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
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

func TestUnavailable(t *testing.T) {
	t.Parallel()
	pg := func(code string) error { return &pgconn.PgError{Code: code, Severity: "ERROR"} }
	fatal := func(code, text string) error { return &pgconn.PgError{Code: code, Severity: "FATAL", Message: text} }
	for name, tt := range map[string]struct {
		err  error
		want bool
	}{
		"nil":                          {nil, false},
		"cancelled":                    {context.Canceled, false},
		"late":                         {context.DeadlineExceeded, true},
		"connection reset":             {&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, true},
		"broken pipe":                  {fmt.Errorf("write failed: %w", syscall.EPIPE), true},
		"name not found":               {&net.DNSError{Err: "no such host", Name: "pg"}, true},
		"end of file":                  {fmt.Errorf("receive: %w", io.ErrUnexpectedEOF), true},
		"connection closed":            {fmt.Errorf("exec: %w", pgconn.ErrConnClosed), true},
		"connect refused by password":  {&pgconn.ConnectError{}, true},
		"08006":                        {pg("08006"), true},
		"08P01 of a pooler":            {fatal("08P01", "query_wait_timeout"), true},
		"08P01 of a statement":         {pg("08P01"), false},
		"25006":                        {pg("25006"), true},
		"25P02":                        {pg("25P02"), true},
		"26000":                        {pg("26000"), true},
		"40001":                        {pg("40001"), true},
		"40P01":                        {pg("40P01"), true},
		"53100":                        {pg("53100"), true},
		"53300":                        {fatal("53300", "too many clients"), true},
		"55P03":                        {pg("55P03"), true},
		"57014":                        {pg("57014"), true},
		"57P01":                        {fatal("57P01", "terminating"), true},
		"57P03":                        {fatal("57P03", "starting up"), true},
		"58030":                        {pg("58030"), true},
		"0A000 of a stale plan":        {&pgconn.PgError{Code: "0A000", Message: stalePlan}, true},
		"0A000":                        {pg("0A000"), false},
		"no code":                      {pg(""), false},
		"22P05 untranslatable":         {pg("22P05"), false},
		"22021 not in encoding":        {pg("22021"), false},
		"22003 out of range":           {pg("22003"), false},
		"23505 unique":                 {pg("23505"), false},
		"23514 check":                  {pg("23514"), false},
		"28P01 in a session":           {pg("28P01"), false},
		"42501 privilege":              {pg("42501"), false},
		"42601 syntax":                 {pg("42601"), false},
		"42703 column":                 {pg("42703"), false},
		"42P01 table":                  {pg("42P01"), false},
		"54000 program limit":          {pg("54000"), false},
		"XX000 internal":               {pg("XX000"), false},
		"XX001 corrupted":              {pg("XX001"), false},
		"unknown":                      {errors.New("something else"), false},
		"no rows":                      {pgx.ErrNoRows, false},
		"scan":                         {pgx.ScanArgError{Err: errors.New("text into int")}, false},
		"a verdict of this package":    {fmt.Errorf("commit: %w", ErrStale), false},
		"a limit of a tenant":          {&LimitError{}, false},
		"a schema of another version":  {ErrSchema, false},
		"a key that was used before":   {ErrRepeat, false},
		"wrapped by another operation": {fmt.Errorf("accept: %w", pg("40001")), true},
	} {
		if got := Unavailable(tt.err); got != tt.want {
			t.Errorf("Unavailable(%s) = %t, want %t", name, got, tt.want)
		}
	}
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
			s := open(t)
			exec(t, s, tt.break_)
			if _, err := s.Accept(t.Context(), newRequest()); codeOf(err) != tt.code || Unavailable(err) {
				t.Errorf("Accept = %v (Unavailable %t), want %s, which is final", err, Unavailable(err), tt.code)
			}
		})
	}
}

// scripted makes the next inserts into requests fail with a code.
func scripted(tb testing.TB, s *Store, code string) (end func()) {
	tb.Helper()
	exec(tb, s, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE SQLSTATE '`+code+`'; END $$`)
	exec(tb, s, `CREATE TRIGGER refuse BEFORE INSERT ON requests FOR EACH ROW EXECUTE FUNCTION refuse()`)
	return func() { exec(tb, s, `DROP TRIGGER refuse ON requests`) }
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
			s := open(t)
			end := scripted(t, s, tt.code)
			before := sessions(t, s, 4)
			_, err := s.Accept(t.Context(), newRequest())
			if codeOf(err) != tt.code || !Unavailable(err) {
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
			if _, err := s.Accept(t.Context(), newRequest()); err != nil {
				t.Errorf("Accept, repeated: %v", err)
			}
		})
	}
}

// Errors that concern a statement leave its connection in the pool.
func TestHarmlessErrorKeepsTheConnection(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"23505", "40001", "40P01", "53100", "42703"} {
		s := open(t)
		scripted(t, s, code)
		before := sessions(t, s, 2)
		if _, err := s.Accept(t.Context(), newRequest()); codeOf(err) != code {
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
func sessions(tb testing.TB, s *Store, n int) map[uint32]bool {
	tb.Helper()
	pids := map[uint32]bool{}
	for range n {
		conn, err := s.pool.Acquire(tb.Context())
		if err != nil {
			tb.Fatal(err)
		}
		defer conn.Release()
		pids[conn.Conn().PgConn().PID()] = true
	}
	return pids
}
