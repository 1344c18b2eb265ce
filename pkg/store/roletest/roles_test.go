package roletest_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"windlass.dev/windlass/pkg/store/migrations"
	"windlass.dev/windlass/pkg/store/roletest"
	"windlass.dev/windlass/pkg/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// What a role may do to a table, of select, insert, update, delete and
// truncate, wholly or to some columns. What is missing is refused.
var want = map[string]map[string]string{
	"gateway": {
		"requests": "siud", "bodies": "sid", "steps": "sid", "labels": "sid", "keys": "siu", "conversations": "siud",
		"conversation_items": "sid", "idempotency": "siud", "budgets": "siu", "goose_db_version": "s",
	},
	"claimer": {
		"requests": "sud", "bodies": "sid", "steps": "siud", "labels": "sd", "conversations": "su",
		"conversation_items": "si", "idempotency": "sud", "budgets": "su", "goose_db_version": "s",
	},
	"loop-orchestrator": {
		"requests": "su", "bodies": "s", "steps": "siu", "conversations": "s", "conversation_items": "s",
		"goose_db_version": "s",
	},
	"finalizer": {
		"requests": "su", "bodies": "si", "steps": "s", "conversations": "su", "conversation_items": "si", "budgets": "su",
		"goose_db_version": "s",
	},
	"keys": {"keys": "siu", "goose_db_version": "s"},
	"ro": {
		"requests": "s", "bodies": "s", "steps": "s", "labels": "s", "keys": "s", "conversations": "s",
		"conversation_items": "s", "idempotency": "s", "budgets": "s", "goose_db_version": "s",
	},
}

const tablesSQL = `SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'`

// mayChange are the columns of a table that the role may update.
const mayChangeSQL = `SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0
  AND has_column_privilege(attrelid, attnum, 'UPDATE') LIMIT 1`

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// denied reports whether the server refuses the statement for want of a right.
// What it does is undone.
func denied(t *testing.T, conn *pgx.Conn, sql string) bool {
	t.Helper()
	tx, err := conn.Begin(t.Context())
	if err == nil {
		defer func() { _ = tx.Rollback(t.Context()) }()
		_, err = tx.Exec(t.Context(), sql)
	}
	var pg *pgconn.PgError
	if err != nil && !errors.As(err, &pg) {
		t.Fatalf("%s: %v", sql, err)
	}
	return pg != nil && pg.Code == "42501"
}

// rights tries everything on a table.
func rights(t *testing.T, conn *pgx.Conn, table string) string {
	t.Helper()
	column := "ctid" // no role may change it
	rows, err := conn.Query(t.Context(), mayChangeSQL, table)
	if err != nil {
		t.Fatal(err)
	}
	if names, err := pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		t.Fatal(err)
	} else if len(names) > 0 {
		column = names[0]
	}
	var got strings.Builder
	for _, try := range []struct{ right, sql string }{
		{"s", `SELECT FROM ` + table},
		{"i", `INSERT INTO ` + table + ` DEFAULT VALUES`},
		{"u", `UPDATE ` + table + ` SET ` + column + ` = NULL WHERE false`},
		{"d", `DELETE FROM ` + table + ` WHERE false`},
		{"t", `TRUNCATE ` + table + ` CASCADE`},
	} {
		if try.right == "u" && column == "ctid" {
			try.sql = `SELECT FROM ` + table + ` FOR UPDATE`
		}
		if !denied(t, conn, try.sql) {
			got.WriteString(try.right)
		}
	}
	return got.String()
}

// The roles can do what deploy/postgres says and nothing else. The owner alone
// migrates and grants, without being a superuser.
func TestRolesHaveTheirRightsAndNoOthers(t *testing.T) {
	t.Parallel()
	admin := storetest.Database(t, nil)
	roles := roletest.Make(t, admin)
	root := connect(t, admin)
	if _, err := root.Exec(t.Context(), `ALTER DATABASE `+pgx.Identifier{root.Config().Database}.Sanitize()+
		` OWNER TO `+roles.Name("owner")); err != nil {
		t.Fatal(err)
	}
	owner := roles.URL(t, "owner")
	for range 2 { // an upgrade repeats both
		if _, err := migrations.Apply(t.Context(), owner); err != nil {
			t.Fatalf("migrate as the owner: %v", err)
		}
		roles.GrantAs(t, owner)
	}
	rows, err := root.Query(t.Context(), tablesSQL)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) < 10 {
		t.Fatalf("tables = %v, %v", tables, err)
	}
	for service, wanted := range want {
		conn, got := connect(t, roles.URL(t, service)), map[string]string{}
		for _, table := range tables {
			if r := rights(t, conn, table); r != "" {
				got[table] = r
			}
		}
		if diff := cmp.Diff(wanted, got); diff != "" {
			t.Errorf("%s: rights differ (-want +got):\n%s", service, diff)
		}
		for _, sql := range []string{
			`CREATE TABLE mine ()`, `CREATE TEMPORARY TABLE mine ()`, `CREATE SCHEMA mine`,
			`CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'`, `COPY keys TO PROGRAM 'true'`,
			`UPDATE keys SET hash = hash WHERE false`, `UPDATE keys SET scopes = scopes WHERE false`,
		} {
			if !denied(t, conn, sql) {
				t.Errorf("%s may %s", service, sql)
			}
		}
		if err := migrations.Check(t.Context(), roles.URL(t, service)); err != nil {
			t.Errorf("%s: check the schema: %v", service, err)
		}
	}
}

// People, and services that need none, see no hash of a key and no payload.
func TestRolesSeeNoSecretsOfOthers(t *testing.T) {
	t.Parallel()
	admin := storetest.Database(t, func(ctx context.Context, url string) error {
		_, err := migrations.Apply(ctx, url)
		return err
	})
	roles := roletest.Granted(t, admin)
	for service, sqls := range map[string][]string{
		"ro": {
			`SELECT hash FROM keys`, `SELECT data FROM bodies`, `SELECT input FROM steps`, `SELECT output FROM steps`,
			`SELECT error FROM steps`, `SELECT metadata FROM conversations`, `SELECT data FROM conversation_items`,
			`SELECT answer FROM idempotency`,
		},
		"claimer":           {`SELECT data FROM bodies`, `SELECT answer FROM idempotency`, `SELECT hash FROM keys`},
		"finalizer":         {`SELECT tenant FROM conversation_items`, `SELECT hash FROM keys`},
		"loop-orchestrator": {`SELECT hash FROM keys`, `SELECT answer FROM idempotency`},
	} {
		conn := connect(t, roles.URL(t, service))
		for _, sql := range sqls {
			if !denied(t, conn, sql) {
				t.Errorf("%s may %s", service, sql)
			}
		}
		var statement, lock, idle string
		const shown = `SELECT current_setting('statement_timeout'), current_setting('lock_timeout'),
			current_setting('idle_in_transaction_session_timeout')`
		if err := conn.QueryRow(t.Context(), shown).Scan(&statement, &lock, &idle); err != nil {
			t.Fatal(err)
		}
		if got := statement + " " + lock + " " + idle; got != "5s 2s 10s" && got != "30s 2s 10s" {
			t.Errorf("%s: timeouts are %s", service, got)
		}
	}
}
