package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// errReadOnly means that a server accepts no writes: it is a standby, or a
// primary with default_transaction_read_only.
var errReadOnly = errors.New("the server is read-only (a standby, or default_transaction_read_only is on)")

// setting is a run-time parameter that the statements of the store need.
type setting struct{ name, value string }

// The settings are not startup parameters, because connection poolers refuse
// those or ignore them. See [checkServer] and [DB.Send] for how they are set.
var settings = []setting{
	{"statement_timeout", "5000"},
	{"lock_timeout", "2000"},
	{"idle_in_transaction_session_timeout", "10000"},
	{"synchronous_commit", "on"},
	// Most statements are cheap by plan. Generic plans make repeated ones cheap
	// to plan as well, and the JIT would compile for longer than they run.
	{"plan_cache_mode", "force_generic_plan"},
	{"jit", "off"},
	// A plan made while a table was nearly empty must not read it whole once it
	// has grown, by a scan of the table or of an index that has the wrong
	// order. Sorts of a statement's own few rows are still made.
	{"enable_seqscan", "off"},
	{"enable_sort", "off"},
}

// setConfig returns the calls that set all settings, for the session or, if
// local, for the transaction only.
func setConfig(local bool, separator string) string {
	calls := make([]string, len(settings))
	for i, s := range settings {
		calls[i] = fmt.Sprintf("set_config('%s', '%s', %t)", s.name, s.value, local)
	}
	return strings.Join(calls, separator)
}

const readOnlySQL = `SELECT current_setting('transaction_read_only')`

// checkSQL reports whether the server accepts writes, and whether the session
// is the client's own. If it is, the same round trip prepares it.
//
// A pooler answers a client with a key of its own, so the process id that the
// client was given is not the server's. This holds for every pooler that
// multiplexes sessions, whatever its name and configuration.
var checkSQL = readOnlySQL + `, pg_backend_pid() = %[1]d,
	CASE WHEN pg_backend_pid() = %[1]d THEN ` + setConfig(false, " || ") + ` END`

// pooledMark is set in the custom data of connections that go through a pooler.
const pooledMark = "windlass.pooled"

// checkServer is pgconn's ValidateConnect. After an error pgx tries the next
// host of the URL.
func checkServer(ctx context.Context, conn *pgconn.PgConn) error {
	row, err := readState(ctx, conn, fmt.Sprintf(checkSQL, int32(conn.PID())), 3)
	if err == nil && string(row[1]) != "t" {
		conn.CustomData()[pooledMark] = true
	}
	return err
}

// checkWritable is checkServer for sessions that keep the server's settings.
func checkWritable(ctx context.Context, conn *pgconn.PgConn) error {
	_, err := readState(ctx, conn, readOnlySQL, 1)
	return err
}

func readState(ctx context.Context, conn *pgconn.PgConn, sql string, columns int) ([][]byte, error) {
	results, err := conn.Exec(ctx, sql).ReadAll()
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the server's state: %w", err)
	case len(results) != 1 || len(results[0].Rows) != 1 || len(results[0].Rows[0]) != columns:
		return nil, errors.New("read the server's state: the result has an unexpected shape")
	}
	row := results[0].Rows[0]
	if string(row[0]) == "on" {
		return nil, errReadOnly
	}
	return row, nil
}

func isPooled(conn *pgx.Conn) bool { return conn.PgConn().CustomData()[pooledMark] != nil }
