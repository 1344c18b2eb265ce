package postgres

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

// cachedStatements is more than the store has.
const cachedStatements = 256

// connectTimeout bounds one attempt to connect to one server.
const connectTimeout = 3 * time.Second

// foreignParams are parameters of other clients in the URLs that providers hand
// out for their poolers. A server would refuse them.
var foreignParams = []string{"pgbouncer", "connection_limit", "pool_timeout", "supa", "prepared_statements"}

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
	// This mode needs no named statement on the server. [DB.Send] uses named
	// statements on connections that are not pooled.
	cc.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	cc.Tracer = &tracer{outage: out, hosts: hosts}
	pc.BeforeConnect = hosts.prefer
	return pc, nil
}

// openPool makes the pool. It does not connect.
func openPool(cfg Config, out *outage, hosts *hosts) (*pgxpool.Pool, error) {
	pc, err := poolConfig(cfg.URL, out, hosts)
	if err != nil {
		return nil, err
	}
	pc.MaxConns = cfg.MaxConns
	// With pool_min_conns in the URL, NewWithConfig connects before it returns.
	var made atomic.Pointer[pgxpool.Pool]
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

// OpenSQL connects to the database through database/sql, for migrations: its
// sessions accept writes, but have none of the settings that bound a statement.
// It returns an error if the database cannot be reached.
func OpenSQL(ctx context.Context, url string) (*sql.DB, error) {
	pc, err := poolConfig(url, &outage{}, &hosts{outage: &outage{}})
	if err != nil {
		return nil, err
	}
	cc := pc.ConnConfig
	cc.ValidateConnect = checkWritable
	cc.DefaultQueryExecMode = pgx.QueryExecModeExec // works behind a pooler too
	db := stdlib.OpenDB(*cc, stdlib.OptionBeforeConnect(pc.BeforeConnect))
	if err := db.PingContext(ctx); err != nil {
		_ = db.Close() // the ping's error says why
		return nil, fmt.Errorf("reach the database: %w", connectReason(err))
	}
	return db, nil
}
