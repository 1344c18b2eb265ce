package pgstat

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Setting is one of the server's, as it shows it.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

const settingsSQL = `
SELECT name, current_setting(name) AS value
  FROM unnest(ARRAY['server_version', 'fsync', 'synchronous_commit', 'full_page_writes', 'wal_sync_method',
      'shared_buffers',
                    'max_wal_size', 'wal_compression', 'max_connections']) WITH ORDINALITY AS pg_stat_s (name, n)
 ORDER BY n`

// Prepare creates the extension that counts statements, where the server has it
// and the user may, and returns the settings that decide what a commit costs.
func Prepare(ctx context.Context, url string) (settings []Setting, err error) {
	conn, err := connect(ctx, url)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if _, err := conn.Exec(ctx, `CREATE EXTENSION IF NOT EXISTS pg_stat_statements`); err != nil && !notThere(err) {
		return nil, fmt.Errorf("create the extension that counts statements: %w", err)
	}
	rows, err := conn.Query(ctx, settingsSQL)
	if err != nil {
		return nil, fmt.Errorf("read the server's settings: %w", err)
	}
	settings, err = pgx.CollectRows(rows, pgx.RowToStructByName[Setting])
	if err != nil {
		return nil, fmt.Errorf("read the server's settings: %w", err)
	}
	return settings, nil
}

// Statement is one normalized statement and what it cost since the server's
// start.
type Statement struct {
	Query string `json:"query"`
	Calls int64  `json:"calls"`
	Rows  int64  `json:"rows"`
	// TotalMS is execution time; Postgres counts planning time only with
	// track_planning.
	TotalMS  float64 `json:"total_ms"`
	WALBytes int64   `json:"wal_bytes"`
}

const costliestSQL = `
SELECT query, calls, rows, total_exec_time AS total_ms, wal_bytes::bigint AS wal_bytes
  FROM pg_stat_statements
 WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND query NOT LIKE '%pg_stat%'
 ORDER BY calls DESC
 LIMIT @most`

// Costliest returns the statements of the database that were called most often,
// none where statements are not counted.
func Costliest(ctx context.Context, url string, most int) (statements []Statement, err error) {
	conn, err := connect(ctx, url)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	rows, err := conn.Query(ctx, costliestSQL, pgx.NamedArgs{"most": most})
	if err == nil {
		statements, err = pgx.CollectRows(rows, pgx.RowToStructByName[Statement])
	}
	if err != nil && !notThere(err) {
		return nil, fmt.Errorf("read the statements: %w", err)
	}
	return statements, nil
}
