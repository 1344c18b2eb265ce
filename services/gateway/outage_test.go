package gateway

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/storetest"
	"windlass.dev/windlass/services/gateway/internal/auth"
)

// honest is how long an outage may go unsaid: a second, and what a busy test
// machine adds.
const honest = 1500 * time.Millisecond

var everyRead = []string{
	"GET /v1/responses/resp_0123456789abcdef0123456789abcdef",
	"POST /v1/responses/resp_0123456789abcdef0123456789abcdef/cancel",
	"GET /v1/responses/resp_0123456789abcdef0123456789abcdef/steps",
}

func TestPostgresAwayIsSaidWithinASecond(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]func(*testing.T) string{"refuses": closedPort, "says nothing": silentPort} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := address(t)
			s := raise(t, func(c *Config) { c.Store.URL = "postgres://x:y@" + at + "/z?sslmode=disable" })
			bodies := map[string]string{
				"POST /v1/responses":  foreground,
				"POST /v1/responses?": `{"model":"m","input":"hi","background":true}`,
			}
			for _, route := range everyRead {
				bodies[route] = ""
			}
			for route, body := range bodies {
				method, path, _ := strings.Cut(route, " ")
				began := time.Now()
				r := s.call(method, path, body)
				if took := time.Since(began); took > honest {
					t.Errorf("%s took %v, want at most a second", route, took)
				}
				if r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") != "1" ||
					r.header.Get("X-Should-Retry") != "true" {
					t.Errorf("%s answered %d %v %s, want 503 with Retry-After", route, r.status, r.header, r.body)
				}
				if strings.Contains(string(r.body), at) {
					t.Errorf("%s tells clients about our insides: %s", route, r.body)
				}
			}
		})
	}
}

func closedPort(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// silentPort accepts connections, by its backlog, and never says a word.
func silentPort(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

func TestNATSAwayDoesNotStopRequests(t *testing.T) {
	t.Parallel()
	s := raise(t, func(c *Config) { c.PollInterval = 20 * time.Millisecond })
	s.nats.Stop()
	id := s.background()
	s.claim()
	if r := s.call("POST", "/v1/responses/"+id+"/cancel", ""); r.object(t)["status"] != "cancelled" {
		t.Errorf("cancel answered %d %s, want cancelled", r.status, r.body)
	}
	answers := s.later("POST", "/v1/responses", foreground)
	s.finish(s.claim(), run.Completed, `{"n":2}`)
	same(t, "foreground answer", receive(t, answers).body, `{"n":2}`)
	if err := s.rt.Health.Ready(t.Context()); err != nil {
		t.Errorf("not ready without NATS: %v", err)
	}
}

// behindTap is a gateway whose database is behind a tap; the stand's own store
// goes past it.
func behindTap(t *testing.T, change ...func(*Config)) (*stand, *tap) {
	t.Helper()
	direct := storetest.Database(t, migrate)
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	tap := newTap(t, u.Host)
	u.Host = tap.addr
	s := raise(t, append(change, func(c *Config) {
		c.Store.URL, c.PollInterval = u.String(), 50*time.Millisecond
	})...)
	db, err := postgres.Open(postgres.Config{URL: direct, MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	own := store.New(db)
	s.store, s.database = own, direct
	return s, tap
}

// The commit happens and its answer is lost: the client hears 503, so the
// request must not run.
func TestAcceptOfUnknownOutcomeIsCancelled(t *testing.T) {
	t.Parallel()
	s, tap := behindTap(t)
	key, _ := s.mint("b")
	s.as(key, "GET", "/v1/models", "") // it is known
	kept := s.background()             // the connection is warm
	tap.close()
	began := time.Now()
	r := s.as(key, "POST", "/v1/responses", `{"model":"b","input":"hi","background":true}`)
	if r.status != http.StatusServiceUnavailable || time.Since(began) > honest {
		t.Fatalf("answered %d after %v, want 503 within a second", r.status, time.Since(began))
	}
	eventually(t, "the commit whose answer was lost", func() bool { return s.backlog() == 2 })
	tap.open()
	eventually(t, "the cancel of the orphan", func() bool { return s.backlog() == 1 })
	if got := s.lookPublic(kept).Status; got != run.Queued {
		t.Errorf("the request that was answered is %s, want queued", got)
	}
}

// holdKey takes an idempotency key in a transaction that is still open. An
// accept with that key waits for its end, in the middle of its execution. A
// lock of the table would not do: a connection that has not prepared the
// statement yet waits for it at the Parse, and the loss of that answer means
// that the accept was never executed.
func (s *stand) holdKey(t *testing.T, key string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	_, err = conn.Exec(t.Context(), `BEGIN; INSERT INTO idempotency (tenant, key, hash, made, expires_at)
		VALUES ('`+auth.DefaultTenant+`', '`+key+`', sha256('other'), gen_random_uuid(), now() + interval '1 hour')`)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func counts(t *testing.T, conn *pgx.Conn, sql string) func() bool {
	t.Helper()
	return func() bool {
		var n int
		err := conn.QueryRow(t.Context(), sql).Scan(&n)
		return err == nil && n > 0
	}
}

// The same with an Idempotency-Key: the client that retries finds the
// request that was accepted, and nothing cancels it.
func TestAcceptOfUnknownOutcomeIsFoundByItsKey(t *testing.T) {
	t.Parallel()
	s, tap := behindTap(t)
	s.background() // the backlog has been counted, and the lane asked for
	s.claim()
	conn := s.holdKey(t, "k")
	answers := s.laterSend(s.keyed("k", "POST", "/v1/responses", backgroundBody))
	eventually(t, "an accept that waits", counts(t, conn, `SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'`))
	tap.close()
	if _, err := conn.Exec(t.Context(), `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	// The client may be answered before the commit.
	eventually(t, "the commit whose answer is lost", counts(t, conn, `SELECT count(*) FROM idempotency WHERE key = 'k'`))
	if r := receive(t, answers); r.status != http.StatusServiceUnavailable {
		t.Errorf("the accept whose answer was lost was answered %d %s, want 503", r.status, r.body)
	}
	tap.open()
	ids := s.twoAnswers(t, "k", true, true)
	if n := s.backlog(); n != 1 || ids[0] != ids[1] {
		t.Errorf("the key made %v, %d requests are queued; want the one", ids, n)
	}
}

// An accept whose connection was lost before it was executed has made nothing:
// the client that retries makes the request, once, and that answer is no
// replay.
func TestAcceptThatWasNeverExecutedIsMadeByItsRepeat(t *testing.T) {
	t.Parallel()
	s, tap := behindTap(t)
	conn, err := pgx.Connect(t.Context(), s.database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	if _, err := conn.Exec(t.Context(), `BEGIN; LOCK TABLE requests IN SHARE MODE`); err != nil {
		t.Fatal(err)
	}
	answers := s.laterSend(s.keyed("k", "POST", "/v1/responses", backgroundBody))
	eventually(t, "a Parse that waits", counts(t, conn,
		`SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'requests'::regclass`))
	tap.close()
	if _, err := conn.Exec(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	if r := receive(t, answers); r.status != http.StatusServiceUnavailable {
		t.Errorf("the accept whose connection was lost was answered %d %s, want 503", r.status, r.body)
	}
	tap.open()
	ids := s.twoAnswers(t, "k", false, true)
	if n := s.backlog(); n != 1 || ids[0] != ids[1] {
		t.Errorf("the key made %v, %d requests are queued; want the one", ids, n)
	}
}

// twoAnswers repeats a POST until it was answered twice, and checks the replay
// mark of each answer.
func (s *stand) twoAnswers(t *testing.T, key string, replayed ...bool) (ids []string) {
	t.Helper()
	eventually(t, "two answers", func() bool {
		r := s.sendKeyed(key, "/v1/responses", backgroundBody)
		if r.status == http.StatusOK {
			wantReplayed(t, "answer "+strconv.Itoa(len(ids)+1), r, replayed[len(ids)])
			ids = append(ids, createdID(t, r))
		}
		return len(ids) == len(replayed)
	})
	return ids
}

// A bug or a broken schema is no outage: the client is answered at once, by a
// 500 that names the log line and asks for no repeat, and nothing is accepted.
func TestUnknownErrorIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, break_, code string }{
		{"column dropped", `ALTER TABLE requests DROP COLUMN lane CASCADE`, "42703"},
		{"check violation", `ALTER TABLE requests ADD CONSTRAINT bug CHECK (model = 'x') NOT VALID`, "23514"},
		{"raised in a trigger", `CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE SQLSTATE '22P05'; END $$;
			CREATE TRIGGER t BEFORE INSERT ON requests FOR EACH ROW EXECUTE FUNCTION f()`, "22P05"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := raise(t)
			conn, err := pgx.Connect(t.Context(), s.database)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
			if _, err := conn.Exec(t.Context(), tt.break_); err != nil {
				t.Fatal(err)
			}
			r := s.call("POST", "/v1/responses", backgroundBody)
			fault, _ := r.object(t)["error"].(map[string]any)
			message, _ := fault["message"].(string)
			id := r.header.Get("X-Request-Id")
			if r.status != http.StatusInternalServerError || fault["type"] != "server_error" || !strings.Contains(message, id) ||
				r.header.Get("Retry-After") != "" || r.header.Get("X-Should-Retry") != "false" {
				t.Errorf("answered %d %v %s, want a 500 that names the request and asks for no repeat", r.status, r.header, r.body)
			}
			if strings.Contains(string(r.body), tt.code) {
				t.Errorf("the client hears of our insides: %s", r.body)
			}
			s.wantLogged(t, id, tt.code)
		})
	}
}

// wantLogged checks that an exchange was logged as an error with its cause.
func (s *stand) wantLogged(t *testing.T, id, cause string) {
	t.Helper()
	for _, line := range s.logs.FilterField(zap.String("delivery", id)).All() {
		if text, _ := line.ContextMap()["error"].(string); line.Level == zapcore.ErrorLevel && strings.Contains(text, cause) {
			return
		}
	}
	t.Errorf("%s is not logged as an error with %s: %v", id, cause, s.logs.All())
}
