package pgstat

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Lag is how long a server process that has become idle may keep counts to
// itself: 10 s, and the walwriter's 5 s sleep runs within it.
const Lag = 10*time.Second + 500*time.Millisecond

// Counters are the server's totals at one moment, or, from Sub, what was added
// between two. Sessions is no total: it is the number of client sessions, this
// package's left out.
type Counters struct {
	At                time.Time
	Commits           int64 // of the database; lags
	Rollbacks         int64 // of the database; lags
	WriteTransactions int64 // transactions that took an id: those that wrote
	Statements        int64 // of the database; BEGIN and COMMIT are statements, too
	StatementsKnown   bool  // false if the server has no pg_stat_statements
	WALBytes          int64 // page images included
	PageImages        int64 // full-page images in the WAL; lags
	WALSyncs          int64 // lags
	Sessions          int64
}

// Sub returns what was added since an earlier snapshot of the same server.
// Statements are known if they were both times.
func (c Counters) Sub(earlier Counters) Counters {
	c.Commits -= earlier.Commits
	c.Rollbacks -= earlier.Rollbacks
	c.WriteTransactions -= earlier.WriteTransactions
	c.Statements -= earlier.Statements
	c.StatementsKnown = c.StatementsKnown && earlier.StatementsKnown
	c.WALBytes -= earlier.WALBytes
	c.PageImages -= earlier.PageImages
	c.WALSyncs -= earlier.WALSyncs
	return c
}

const countersSQL = `
SELECT d.xact_commit AS commits,
       d.xact_rollback AS rollbacks,
       pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS write_transactions,
       (pg_current_wal_insert_lsn() - '0/0')::bigint AS wal_bytes,
       w.wal_fpi AS page_images,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'
           AND pid <> pg_backend_pid()) AS sessions
  FROM pg_stat_database d, pg_stat_wal w
 WHERE d.datname = current_database()`

// Version 18 moved the syncs.
const (
	walSyncsSQL   = `SELECT wal_sync FROM pg_stat_wal`
	walSyncs18SQL = `SELECT sum(fsyncs)::bigint FROM pg_stat_io WHERE object = 'wal'`
	version18     = 180000
)

// The filter leaves this package's own statements out: each of them has pg_stat
// in it, if only as a name.
const statementsSQL = `
SELECT coalesce(sum(calls), 0)::bigint
  FROM pg_stat_statements
 WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND query NOT LIKE '%pg_stat%'`

// Snapshot reads the counters of the server and database at url, which may hold
// a password and is never part of an error. It needs Postgres 14 or newer and
// the right to read statistics.
func Snapshot(ctx context.Context, url string) (c Counters, err error) {
	conn, err := connect(ctx, url)
	if err != nil {
		return Counters{}, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if err := conn.QueryRow(ctx, countersSQL).Scan(
		&c.Commits, &c.Rollbacks, &c.WriteTransactions, &c.WALBytes, &c.PageImages, &c.Sessions,
	); err != nil {
		return Counters{}, fmt.Errorf("read the counters: %w", err)
	}
	c.At = time.Now()
	if err := conn.QueryRow(ctx, statementsSQL).Scan(&c.Statements); err == nil {
		c.StatementsKnown = true
	} else if !notThere(err) {
		return Counters{}, fmt.Errorf("count the statements: %w", err)
	}
	syncs := walSyncsSQL
	if number, err := serverVersion(ctx, conn); err != nil {
		return Counters{}, err
	} else if number >= version18 {
		syncs = walSyncs18SQL
	}
	if err := conn.QueryRow(ctx, syncs).Scan(&c.WALSyncs); err != nil {
		return Counters{}, fmt.Errorf("count the WAL syncs: %w", err)
	}
	return c, nil
}

func serverVersion(ctx context.Context, conn *pgx.Conn) (number int, err error) {
	const sql = `SELECT current_setting('server_version_num')::int AS pg_stat_version`
	if err := conn.QueryRow(ctx, sql).Scan(&number); err != nil {
		return 0, fmt.Errorf("read the server's version: %w", err)
	}
	return number, nil
}

// notThere tells that pg_stat_statements is not installed, not loaded, or not
// for this user.
func notThere(err error) bool {
	var said *pgconn.PgError
	if !errors.As(err, &said) {
		return false
	}
	switch said.Code {
	case "42P01", "55000", "42501", "0A000", "58P01":
		return true
	}
	return false
}

// connect leaves the cause of a parse failure out: it may hold the URL.
func connect(ctx context.Context, url string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errors.New("read the statistics: the database URL is not one")
	}
	cfg.RuntimeParams["application_name"] = "windlass-pgstat"
	// A statement that is used once is not worth a prepared one and its round
	// trip.
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect for the statistics: %w", err)
	}
	return conn, nil
}
