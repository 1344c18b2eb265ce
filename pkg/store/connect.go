package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// cachedStatements is more than this package has.
const cachedStatements = 256

// foreignParams are parameters of other clients in the URLs that providers hand
// out for their poolers. A server would refuse them.
var foreignParams = []string{"pgbouncer", "connection_limit", "pool_timeout", "supa", "prepared_statements"}

// connectTimeout bounds one attempt to connect to one server.
const connectTimeout = 3 * time.Second

// errReadOnly means that a server accepts no writes: it is a standby, or a
// primary with default_transaction_read_only.
var errReadOnly = errors.New("the server is read-only (a standby, or default_transaction_read_only is on)")

// setting is a run-time parameter that the statements of this package need.
type setting struct{ name, value string }

// The settings are not startup parameters, because connection poolers refuse
// those or ignore them. See [checkServer] and [Store.send] for how they are set.
var settings = []setting{
	{"statement_timeout", "5000"},
	{"lock_timeout", "2000"},
	{"idle_in_transaction_session_timeout", "10000"},
	{"synchronous_commit", "on"},
	// Most statements are cheap by plan. Generic plans make repeated ones cheap to
	// plan as well, and the JIT would compile for longer than they run.
	{"plan_cache_mode", "force_generic_plan"},
	{"jit", "off"},
	// A plan made while a table was nearly empty must not read it whole once it has
	// grown, by a scan of the table or of an index that has the wrong order. Sorts
	// of a statement's own few rows are still made.
	{"enable_seqscan", "off"},
	{"enable_sort", "off"},
}

// setConfig returns the calls that set all settings, for the session or for
// the transaction only.
func setConfig(local bool, separator string) string {
	calls := make([]string, len(settings))
	for i, s := range settings {
		calls[i] = fmt.Sprintf("set_config('%s', '%s', %t)", s.name, s.value, local)
	}
	return strings.Join(calls, separator)
}

// checkSQL reports whether the server accepts writes, and whether the session
// is the client's own. If it is, the same round trip prepares it.
//
// A pooler answers a client with a key of its own, so the process id that the
// client was given is not the server's. That holds for every pooler that
// multiplexes sessions, whatever it is called and however it is configured.
var checkSQL = `SELECT current_setting('transaction_read_only'), pg_backend_pid() = %[1]d,
	CASE WHEN pg_backend_pid() = %[1]d THEN ` + setConfig(false, " || ") + ` END`

// pooledMark is set in the custom data of connections that go through a pooler.
const pooledMark = "windlass.pooled"

// checkServer is pgconn's ValidateConnect. An error makes pgx try the next host
// of the URL.
func checkServer(ctx context.Context, conn *pgconn.PgConn) error {
	row, err := readState(ctx, conn, fmt.Sprintf(checkSQL, int32(conn.PID())), 3)
	if err == nil && string(row[1]) != "t" {
		conn.CustomData()[pooledMark] = true
	}
	return err
}

// checkWritable is checkServer for sessions that keep the server's settings.
func checkWritable(ctx context.Context, conn *pgconn.PgConn) error {
	_, err := readState(ctx, conn, `SELECT current_setting('transaction_read_only')`, 1)
	return err
}

func readState(ctx context.Context, conn *pgconn.PgConn, sql string, columns int) ([][]byte, error) {
	results, err := conn.Exec(ctx, sql).ReadAll()
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the server's state: %w", err)
	case len(results) != 1 || len(results[0].Rows) != 1 || len(results[0].Rows[0]) != columns:
		return nil, errors.New("read the server's state: the answer has another shape")
	}
	row := results[0].Rows[0]
	if string(row[0]) == "on" {
		return nil, errReadOnly
	}
	return row, nil
}

func isPooled(conn *pgx.Conn) bool { return conn.PgConn().CustomData()[pooledMark] != nil }

// poolConfig returns the configuration of a pool whose connections accept
// writes, report to the outage, and find the primary among several hosts.
func poolConfig(url string, out *outage, hosts *hosts) (*pgxpool.Config, error) {
	pc, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("parse the database url: %w", err)
	}
	pc.MaxConnLifetime, pc.MaxConnLifetimeJitter = time.Hour, 10*time.Minute
	pc.HealthCheckPeriod = 15 * time.Second
	pc.PingTimeout = time.Second // of a connection that was idle, before it is used
	cc := pc.ConnConfig
	cc.ConnectTimeout = connectTimeout
	cc.RuntimeParams["application_name"] = "windlass"
	for _, name := range foreignParams {
		delete(cc.RuntimeParams, name)
	}
	// Some URLs for poolers turn the caches off.
	cc.StatementCacheCapacity = cmp.Or(cc.StatementCacheCapacity, cachedStatements)
	cc.DescriptionCacheCapacity = cmp.Or(cc.DescriptionCacheCapacity, cachedStatements)
	cc.ValidateConnect = checkServer
	// What needs no named statement on the server; [Store.send] asks for named
	// ones on connections that are not pooled.
	cc.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	cc.Tracer = &connectTracer{outage: out, hosts: hosts}
	pc.BeforeConnect = hosts.prefer
	return pc, nil
}

// openPool makes the pool. It connects to nothing yet.
func openPool(cfg Config, out *outage, hosts *hosts) (*pgxpool.Pool, error) {
	pc, err := poolConfig(cfg.URL, out, hosts)
	if err != nil {
		return nil, err
	}
	pc.MaxConns = cfg.MaxConns
	var made atomic.Pointer[pgxpool.Pool] // nil until it is made; with pool_min_conns it connects before
	closeFatal := pc.ConnConfig.OnPgError
	pc.ConnConfig.OnPgError = func(conn *pgconn.PgConn, e *pgconn.PgError) bool {
		if pool := made.Load(); pool != nil && suspectsServer(e) {
			pool.Reset() // the other connections lead to the same server
		}
		return !condemnsConnection(e) && closeFatal(conn, e)
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), pc)
	if err != nil {
		return nil, fmt.Errorf("make the database pool: %w", err)
	}
	made.Store(pool)
	return pool, nil
}
