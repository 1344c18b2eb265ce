package store_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/runtest"
)

// literal writes an argument as SQL.
func literal(v any) string {
	list := func(n int, of string, item func(int) any) string {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = literal(item(i))
		}
		return "ARRAY[" + strings.Join(parts, ",") + "]::" + of + "[]"
	}
	switch v := v.(type) {
	case [][16]byte:
		return literal(postgres.Column(v, func(id [16]byte) uuid.UUID { return id }))
	case []uuid.UUID:
		return list(len(v), "uuid", func(i int) any { return v[i] })
	case []string:
		return list(len(v), "text", func(i int) any { return v[i] })
	case []int:
		return list(len(v), "int", func(i int) any { return v[i] })
	case []int64:
		return list(len(v), "bigint", func(i int) any { return v[i] })
	case []float64:
		return list(len(v), "float8", func(i int) any { return v[i] })
	case []bool:
		return list(len(v), "bool", func(i int) any { return v[i] })
	case [][]byte:
		return list(len(v), "bytea", func(i int) any { return v[i] })
	case []byte:
		if v == nil {
			return "NULL"
		}
		return fmt.Sprintf(`'\x%x'`, v)
	case [16]byte:
		return literal(uuid.UUID(v))
	case uuid.UUID, string:
		return fmt.Sprintf("'%s'", v)
	default:
		return fmt.Sprint(v)
	}
}

// prepare plans every statement as the pool's connections do, and gives the
// calls of them.
func prepare(t *testing.T, conn *pgxpool.Conn, all []planned) []string {
	t.Helper()
	calls := make([]string, len(all))
	for i, p := range all {
		sql, args, err := p.args.RewriteQuery(t.Context(), conn.Conn(), p.sql, nil)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.ReplaceAll(p.name, " ", "_") + "_planned"
		values := make([]string, len(args))
		for j, arg := range args {
			values[j] = literal(arg)
		}
		calls[i] = "EXECUTE " + name
		if len(args) > 0 {
			calls[i] += "(" + strings.Join(values, ", ") + ")"
		}
		if _, err := conn.Exec(t.Context(), "PREPARE "+name+" AS "+sql); err != nil {
			t.Fatalf("prepare %s: %v", p.name, err)
		}
	}
	return calls
}

type planNode struct {
	Type     string     `json:"Node Type"`
	Relation string     `json:"Relation Name"`
	Hit      int        `json:"Shared Hit Blocks"`
	Read     int        `json:"Shared Read Blocks"`
	Plans    []planNode `json:"Plans"`
}

// touched is how many pages the node and all within it touched, and names
// tables that are read whole.
func (n planNode) touched() (pages int, whole []string) {
	if n.Type == "Seq Scan" {
		whole = append(whole, n.Relation)
	}
	for _, child := range n.Plans {
		_, w := child.touched()
		whole = append(whole, w...)
	}
	return n.Hit + n.Read, whole // those of the inner ones are among the outer one's
}

const analyzeSQL = `ANALYZE requests, steps, bodies, conversations, conversation_items, idempotency, labels`

// touch says how many pages each call touches.
func touch(t *testing.T, conn *pgxpool.Conn, calls []string) []int {
	t.Helper()
	return postgres.Column(calls, func(call string) int {
		pages, whole := explain(t, conn, call).touched()
		if len(whole) > 0 {
			t.Errorf("%v read whole by %s", whole, call)
		}
		return pages
	})
}

// explain runs the call, takes back what it wrote, and gives its plan.
func explain(t *testing.T, conn *pgxpool.Conn, call string) planNode {
	t.Helper()
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := tx.Rollback(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	var text string
	if err := tx.QueryRow(t.Context(), "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+call).Scan(&text); err != nil {
		t.Fatalf("%s: %v", call, err)
	}
	var plans []struct{ Plan planNode }
	if err := json.Unmarshal([]byte(text), &plans); err != nil || len(plans) != 1 {
		t.Fatalf("%s: %v", text, err)
	}
	return plans[0].Plan
}

const fillSQL = `
WITH filled AS (
  INSERT INTO requests (id, tenant, endpoint, model, lane, tier, background, vft, deadline, status, stored, finished_at)
  SELECT gen_random_uuid(), 'tenant-' || i % 10, 'responses', 'm', $3, 1, true, i, now() + interval '1 hour', $2, i % 10 <> 2,
         CASE WHEN $2 <> 'queued' THEN now() END
    FROM generate_series(1, $1::int) AS i
  RETURNING id, tenant),
asked AS (
  INSERT INTO bodies SELECT id, 'request', '\x00' FROM filled),
labelled AS (
  INSERT INTO labels (label, request_id) SELECT $4, id FROM filled WHERE tenant = 'tenant-1'),
spoken AS (
  INSERT INTO conversations (id, tenant, metadata, last_place, items) SELECT id, '` + runtest.Tenant + `', '{}', 1, 1 FROM filled),
said AS (
  INSERT INTO conversation_items (conversation_id, place, tenant, item_id, data) SELECT id, 1, '` + runtest.Tenant + `', 'msg_1', '\x00' FROM filled),
keyed AS (
  INSERT INTO idempotency (tenant, key, hash, made, expires_at)
  SELECT 'tenant-1', id::text, sha256(''), id, now() + interval '1 hour' FROM filled)
INSERT INTO steps (request_id, turn, idx, kind, name, state, finished_at)
SELECT id, 1, 0, 'model', 'm', 'done', now() FROM filled WHERE $2 <> 'queued'`

// No statement's cost may follow the backlog or the history, whatever the
// tables were like when its plan was made.
func TestCostIsIndependentOfTheBacklog(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name                       string
		before, atSmall, atFullSQL string
	}{
		{"planned on tables that were never analyzed", "", "", ""},
		{"planned on nearly empty tables", analyzeSQL, "", ""},
		{"planned on small tables", "", analyzeSQL, ""},
		{"planned on full tables", "", "", analyzeSQL},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := runtest.Open(t)
			ready := runtest.Claimed(t, s)
			alarm(t, s) // so that one row can be postponed, and the others can be alarmed
			all := plannedStatements(t, s, subjects{
				waiting: runtest.InTools(t, s, 2), ready: ready,
				decided:      runtest.InSettle(t, s, run.Completed, runtest.On(runtest.Conversation(t, s, 1), 0)),
				last:         runtest.Line(t, s, 3)[2],
				conversation: runtest.Conversation(t, s, 3),
			})
			conn, err := s.DB.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Release()
			runtest.Exec(t, s, tt.before)
			calls := prepare(t, conn, all)
			touch(t, conn, calls)
			runtest.Exec(t, s, fillSQL, 1000, "queued", runtest.Lane, commonLabel())
			runtest.Exec(t, s, fillSQL, 300, "completed", runtest.Lane, commonLabel()) // so that there is something to purge
			runtest.Exec(t, s, tt.atSmall)
			small := touch(t, conn, calls)
			for range 14 { // each within a statement's time limit, on a busy machine too
				runtest.Exec(t, s, fillSQL, 3500, "queued", runtest.Lane, commonLabel())
			}
			for range 8 {
				runtest.Exec(t, s, fillSQL, 2500, "completed", runtest.Lane, commonLabel())
			}
			runtest.Exec(t, s, tt.atFullSQL)
			for i, pages := range touch(t, conn, calls) {
				if pages > 3*small[i]+100 {
					t.Errorf("%s touches %d pages with 50,000 queued and 20,000 done, %d with 1,000", all[i].name, pages, small[i])
				}
				t.Logf("%-15s %3d pages with 1,000 queued, %3d with 50,000", all[i].name, small[i], pages)
			}
		})
	}
}
