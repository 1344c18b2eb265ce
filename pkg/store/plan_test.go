package store

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/postgres"
)

// planned is a statement with arguments that touch a few rows.
type planned struct {
	name string
	sql  string
	args postgres.Args
}

func plannedStatements(asked, ready, decided, last Row, talk uuid.UUID) []planned {
	return append(plannedLists(), plannedSteps(asked, ready, decided, last, talk)...)
}

func plannedSteps(asked, ready, decided, last Row, talk uuid.UUID) []planned {
	turn := turnArgs([]TurnCommit{{Fence: fenceOf(ready), Steps: newSteps(1)}})
	addStepArgs(turn, []ownedStep{{newSteps(1)[0], 1}})
	result := results(asked)[0]
	n := newRequest()
	n.Tenant, n.Parent, n.Metadata = "tenant-1", asked.ID, map[string]string{"k": "v"}
	within := n
	within.ID, within.Once = uuid.New(), once("k")
	within.Limits = Limits{Requests: Rate{60, 60}, Tokens: Rate{60, 60}, InFlight: 100}
	talking := newRequest()
	talking.Conversation = talk
	bounded := []NewRequest{within, talking}
	limited, spots := shares(bounded)
	fence := postgres.Args{
		"id": ready.ID, "epoch": ready.Epoch, "turn": ready.Turn, "attempt": ready.Attempt,
		"crashed": true, "wait": 1.0, "error": []byte("{}"),
	}
	change := itemArgs([]NewItem{newItem("msg_added")})
	change["id"], change["tenant"], change["conversation"], change["seen"], change["remove"] = uuid.New(), testTenant, talk, int64(0), "msg_2"
	settlement := postgres.Args{
		"ids": []uuid.UUID{decided.ID}, "tenants": []string{""}, "epochs": []int{decided.Epoch}, "statuses": []string{"completed"},
		"reasons": []string{""}, "answers": [][]byte{{0}}, "after": []bool{true}, "i_ords": []int64{1},
	}
	maps.Copy(settlement, itemArgs([]NewItem{newItem("msg_said")}))
	made := itemArgs([]NewItem{newItem("msg_first")})
	made["id"], made["tenant"], made["metadata"] = uuid.New(), testTenant, []byte("{}")
	ofTalk := postgres.Args{
		"id": talk, "tenant": testTenant, "metadata": []byte("{}"), "ids": []string{"msg_1", "msg_9"}, "after": "msg_2", "limit": 20,
		"item": "msg_1", "most": MaxConversationItems,
	}
	return []planned{
		{"create conversation", createConversationSQL, made},
		{"conversation", conversationSQL, ofTalk},
		{"set metadata", setMetadataSQL, ofTalk},
		{"conversation state", conversationStateSQL, ofTalk},
		{"change items", changeItemsSQL, change},
		{"items up", pageUpSQL, ofTalk},
		{"items down", pageDownSQL, ofTalk},
		{"conversation item", conversationItemSQL, ofTalk},
		{"spoken", spokenSQL, ofTalk},
		{"find items", findItemsSQL, postgres.Args{
			"tenant": testTenant, "most": 1000, "ids": []string{"msg_1", "msg_9"}, "requests": []uuid.UUID{uuid.Nil, last.ID},
			"answers": []bool{false, true},
		}},
		{"delete conversation", deleteConversationSQL, ofTalk},
		{"accept", acceptSQL, acceptArgs([]NewRequest{n})},
		{"accept guarded", acceptGuardedSQL, guardArgs(bounded, limited, spots)},
		{"claim", claimSQL, postgres.Args{"lanes": []string{testLane, "other"}, "free": []int{8, 8}}},
		{"load", loadChainSQL, postgres.Args{"ids": []uuid.UUID{asked.ID}}},
		{"raise", raiseSQL, fence},
		{"retry turn", retryTurnSQL, fence},
		{"commit turn", commitTurnSQL, turn},
		{"commit results", commitResultsSQL, postgres.Args{
			"ids": []uuid.UUID{result.ID}, "epochs": []int{result.Epoch}, "turns": []int{result.Turn}, "idx": []int{result.Index},
			"attempts": []int{1}, "calls": []string{result.CallID}, "hashes": [][]byte{result.InputHash}, "outputs": [][]byte{{0}},
			"errors": [][]byte{nil}, "took": []int64{1}, "retries": []bool{false}, "waits": []float64{0},
		}},
		{"settle", settleSQL, settlement},
		{"finish", finishSQL, postgres.Args{"id": decided.ID}},
		{"archive", archiveSQL, postgres.Args{"id": decided.ID, "events": []byte{0}}},
		{"events", eventsSQL, postgres.Args{"id": decided.ID, "tenant": testTenant}},
		{"answer", lookupSQL, postgres.Args{"ids": []uuid.UUID{asked.ID}, "tenants": []string{testTenant}}},
		{"finished", finishedSQL, postgres.Args{"ids": []uuid.UUID{asked.ID}}},
		{"previous", previousSQL, postgres.Args{"id": last.ID, "tenant": testTenant, "most": MaxAncestors + 1}},
		{"ancestors", ancestorsSQL, postgres.Args{"id": last.ID, "tenant": testTenant, "most": MaxAncestors}},
		{"body", bodySQL, postgres.Args{"id": last.ID, "tenant": testTenant}},
		{"delete", deleteSQL, postgres.Args{"id": last.ID, "tenant": testTenant}},
		{"steps", stepsSQL, postgres.Args{"id": asked.ID, "tenant": testTenant}},
		{"call", callSQL, postgres.Args{"id": asked.ID, "tenant": testTenant}},
		{"backlog", backlogSQL, postgres.Args{"most": 100}},
		{"overdue", overdueSQL, postgres.Args{"n": 100}},
		{"open steps", openStepsSQL, postgres.Args{"ids": []uuid.UUID{asked.ID}}},
		{"alarm", alarmSQL, nil},
		{"postpone", postponeSQL, postgres.Args{
			"ids": []uuid.UUID{ready.ID}, "epochs": []int{ready.Epoch}, "turns": []int{1}, "attempts": []int{1}, "stages": []string{"model"},
		}},
		{"overtime", overtimeSQL, postgres.Args{"n": 100}},
		{"key", keysByIDSQL, postgres.Args{"ids": []string{"a"}}},
		{"seen", seenSQL, postgres.Args{"tenants": []string{"tenant-1"}, "keys": []string{"k"}}},
		{"hold", holdSQL, postgres.Args{"tenant": "tenant-1", "key": "h", "hash": once("h").Hash, "id": n.ID, "hold": 10.0}},
		{"keep", keepSQL, postgres.Args{"tenant": "tenant-1", "key": "h", "id": n.ID, "status": 200, "answer": []byte{0}}},
		{"release", releaseSQL, postgres.Args{"tenant": "tenant-1", "key": "h", "id": n.ID, "made": true}},
		{"forget", forgetSQL, postgres.Args{"n": 100}},
		{"purge", purgeSQL, postgres.Args{"kept": -60.0, "above": uuid.Nil, "n": 20}}, // of a minute to come: all that has ended is old
		{"erase", eraseSQL, postgres.Args{"kept": -60.0, "n": 20}},
	}
}

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
	case run.ID:
		return fmt.Sprintf("'%x'", v)
	case uuid.UUID, string:
		return fmt.Sprintf("'%s'", v)
	default:
		return fmt.Sprint(v)
	}
}

// prepare plans every statement as the pool's connections do, and gives the calls of them.
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

// touched is how many pages the node and all within it touched, and names tables that are read whole.
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
  INSERT INTO labels (label, request_id) SELECT '` + commonLabel + `', id FROM filled WHERE tenant = 'tenant-1'),
spoken AS (
  INSERT INTO conversations (id, tenant, metadata, last_place, items) SELECT id, '` + testTenant + `', '{}', 1, 1 FROM filled),
said AS (
  INSERT INTO conversation_items (conversation_id, place, tenant, item_id, data) SELECT id, 1, '` + testTenant + `', 'msg_1', '\x00' FROM filled),
keyed AS (
  INSERT INTO idempotency (tenant, key, hash, made, expires_at)
  SELECT 'tenant-1', id::text, sha256(''), id, now() + interval '1 hour' FROM filled)
INSERT INTO steps (request_id, turn, idx, kind, name, state, finished_at)
SELECT id, 1, 0, 'model', 'm', 'done', now() FROM filled WHERE $2 <> 'queued'`

// No statement's cost may follow the backlog or the history, whatever the tables were like when its plan was made.
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
			s := open(t)
			ready := claimed(t, s)
			alarm(t, s) // so that one row is there to be postponed, and the others are there to be alarmed
			all := plannedStatements(inTools(t, s, 2), ready, inSettle(t, s, Completed, on(talk(t, s, 1), 0)), line(t, s, 3)[2], talk(t, s, 3))
			conn, err := s.db.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Release()
			exec(t, s, tt.before)
			calls := prepare(t, conn, all)
			touch(t, conn, calls)
			exec(t, s, fillSQL, 1000, "queued", testLane)
			exec(t, s, fillSQL, 300, "completed", testLane) // so that there is something to purge
			exec(t, s, tt.atSmall)
			small := touch(t, conn, calls)
			for range 14 { // each within a statement's time limit, on a busy machine too
				exec(t, s, fillSQL, 3500, "queued", testLane)
			}
			for range 8 {
				exec(t, s, fillSQL, 2500, "completed", testLane)
			}
			exec(t, s, tt.atFullSQL)
			for i, pages := range touch(t, conn, calls) {
				if pages > 3*small[i]+100 {
					t.Errorf("%s touches %d pages with 50,000 queued and 20,000 done, %d with 1,000", all[i].name, pages, small[i])
				}
				t.Logf("%-15s %3d pages with 1,000 queued, %3d with 50,000", all[i].name, small[i], pages)
			}
		})
	}
}
