package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/store/migrations"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

const (
	testTenant = "acme"
	testLane   = "fast"
)

func migrateTemplate(ctx context.Context, url string) error {
	_, err := migrations.Apply(ctx, url)
	return err
}

// open gives a store on a database of its own.
func open(tb testing.TB) *Store {
	tb.Helper()
	return openAt(tb, storetest.Database(tb, migrateTemplate))
}

func openAt(tb testing.TB, url string) *Store {
	tb.Helper()
	db, err := postgres.Open(postgres.Config{URL: url, MaxConns: 8})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(db.Close)
	return New(db)
}

func newRequest() NewRequest {
	return NewRequest{
		ID: uuid.Must(uuid.NewV7()), Tenant: testTenant, Endpoint: "responses", Model: "m", Lane: testLane, Tier: 1,
		Body: []byte(`{"input":"hi"}`), Timeout: time.Hour, Trace: "00-trace",
	}
}

// accepted is a queued request.
func accepted(tb testing.TB, s *Store, change ...func(*NewRequest)) uuid.UUID {
	tb.Helper()
	n := newRequest()
	for _, c := range change {
		c(&n)
	}
	if _, err := s.Accept(tb.Context(), n); err != nil {
		tb.Fatal(err)
	}
	return n.ID
}

// overdue makes a request's deadline pass before it is accepted.
func overdue(n *NewRequest) { n.Timeout = -time.Second }

// claimed is a request whose first model call is due.
func claimed(tb testing.TB, s *Store, change ...func(*NewRequest)) Row {
	tb.Helper()
	id := accepted(tb, s, append(change, func(n *NewRequest) { n.Lane = "lane-of-" + n.ID.String() })...)
	rows, err := s.Claim(tb.Context(), []Slots{{Lane: "lane-of-" + id.String(), Free: 1}})
	if err != nil || len(rows) != 1 || rows[0].ID != id {
		tb.Fatalf("claim %s: %v, %v", id, rows, err)
	}
	return rows[0]
}

// inTools is a request whose turn asked for n tool calls.
func inTools(tb testing.TB, s *Store, n int, change ...func(*NewRequest)) Row {
	tb.Helper()
	r := claimed(tb, s, change...)
	return commit(tb, s, r, TurnCommit{Steps: newSteps(n)})
}

// inSettle is a request whose outcome is decided.
func inSettle(tb testing.TB, s *Store, outcome Status, change ...func(*NewRequest)) Row {
	tb.Helper()
	r := claimed(tb, s, change...)
	return commit(tb, s, r, TurnCommit{Outcome: outcome, Reason: "because"})
}

// settled is a request in a terminal status, live while its after-work is to be done.
func settled(tb testing.TB, s *Store, status Status, live bool) Row {
	tb.Helper()
	var r Row
	switch status {
	case Cancelled:
		r = inTools(tb, s, 2)
	case Expired:
		r = inTools(tb, s, 2, overdue)
	default:
		r = inSettle(tb, s, status)
	}
	settle(tb, s, r, status, live)
	return look(tb, s, r.ID)
}

func settle(tb testing.TB, s *Store, r Row, status Status, live bool) {
	tb.Helper()
	o := Settlement{ID: r.ID, Tenant: r.Tenant, Epoch: r.Epoch, Status: status, AfterWork: live}
	if err := s.Settle(tb.Context(), o); err != nil {
		tb.Fatal(err)
	}
}

func commit(tb testing.TB, s *Store, r Row, t TurnCommit) Row {
	tb.Helper()
	t.Fence, t.Model = fenceOf(r), r.Model
	after, err := s.CommitTurn(tb.Context(), r, t)
	if err != nil {
		tb.Fatal(err)
	}
	return after
}

func look(tb testing.TB, s *Store, id uuid.UUID) Row {
	tb.Helper()
	r, err := s.Look(tb.Context(), id)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func steps(tb testing.TB, s *Store, id uuid.UUID) []Step {
	tb.Helper()
	all, err := s.Steps(tb.Context(), testTenant, id)
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

func fenceOf(r Row) Fence { return Fence{ID: r.ID, Epoch: r.Epoch, Turn: r.Turn, Attempt: r.Attempt} }

// newSteps are n calls to be run, with indexes from 1.
func newSteps(n int) []NewStep {
	out := make([]NewStep, n)
	for i := range out {
		input := fmt.Appendf(nil, `{"n":%d}`, i+1)
		sum := sha256.Sum256(input)
		out[i] = NewStep{
			Index: i + 1, Name: "search", Pool: "default", CallID: fmt.Sprintf("call_%d", i+1), Input: input, InputHash: sum[:],
		}
	}
	return out
}

func resultOf(r Row, step Step) ToolResult {
	return ToolResult{
		ID: r.ID, Epoch: r.Epoch, Turn: step.Turn, Index: step.Index, Attempt: step.Attempt, CallID: step.CallID,
		InputHash: step.InputHash, Output: []byte("found"), Took: time.Millisecond,
	}
}

func results(r Row) []ToolResult {
	return postgres.Column(r.Steps, func(step Step) ToolResult { return resultOf(r, step) })
}

func commitResults(tb testing.TB, s *Store, all ...ToolResult) []Row {
	tb.Helper()
	turned, err := s.CommitResults(tb.Context(), all)
	if err != nil {
		tb.Fatal(err)
	}
	return postgres.Column(turned, func(p Progress) Row { return p.Row })
}

// dump is every row of every table, with the transaction and place of its version: a row that was rewritten with what it held
// before differs as well.
func dump(tb testing.TB, s *Store) string {
	tb.Helper()
	var out strings.Builder
	for _, table := range []string{"requests", "steps", "bodies", "conversations", "conversation_items", "idempotency", "budgets"} {
		sql := `SELECT concat_ws(' ', t.tableoid::regclass, t.xmin, t.ctid, to_jsonb(t)) FROM ` + table + ` t ORDER BY 1`
		out.WriteString(strings.Join(ask[string](tb, s, sql), "\n") + "\n")
	}
	return out.String()
}

// ask reads one column with a statement of the test's own.
func ask[T any](tb testing.TB, s *Store, sql string, args ...any) []T {
	tb.Helper()
	conn, err := s.db.Acquire(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Release()
	rows, err := conn.Query(tb.Context(), sql, args...)
	if err != nil {
		tb.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[T])
	if err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
	return out
}

func exec(tb testing.TB, s *Store, sql string, args ...any) {
	tb.Helper()
	conn, err := s.db.Acquire(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(tb.Context(), sql, args...); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
}

func wantStale(tb testing.TB, what string, err error) {
	tb.Helper()
	if !errors.Is(err, ErrStale) {
		tb.Errorf("%s: error %v, want ErrStale", what, err)
	}
}

// once is an idempotency key with a hash that follows from it.
func once(key string) Once {
	hash := sha256.Sum256([]byte(key))
	return Once{Key: key, Hash: hash[:]}
}

// refusal is what Accept says of a request.
func refusal(tb testing.TB, s *Store, n NewRequest) error {
	tb.Helper()
	_, err := s.Accept(tb.Context(), n)
	return err
}
