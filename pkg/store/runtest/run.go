package runtest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/idempotency"
	"windlass.dev/windlass/pkg/store/postgres"
)

// What [NewRequest] asks for.
const (
	Tenant = "acme"
	Lane   = "fast"
)

// NewRequest returns a request that is not accepted yet.
func NewRequest() store.NewRequest {
	return store.NewRequest{
		ID: uuid.Must(uuid.NewV7()), Tenant: Tenant, Endpoint: "responses", Model: "m", Lane: Lane, Tier: 1,
		Body: []byte(`{"input":"hi"}`), Timeout: time.Hour, Trace: "00-trace",
	}
}

// Accepted returns a queued request.
func Accepted(tb testing.TB, w *World, change ...func(*store.NewRequest)) uuid.UUID {
	tb.Helper()
	n := NewRequest()
	for _, c := range change {
		c(&n)
	}
	if _, err := w.Accept(tb.Context(), n); err != nil {
		tb.Fatal(err)
	}
	return n.ID
}

// Overdue makes a request's deadline pass before it is accepted.
func Overdue(n *store.NewRequest) { n.Timeout = -time.Second }

// Claimed returns a request whose first model call is due.
func Claimed(tb testing.TB, w *World, change ...func(*store.NewRequest)) run.Row {
	tb.Helper()
	id := Accepted(tb, w, append(change, func(n *store.NewRequest) { n.Lane = "lane-of-" + n.ID.String() })...)
	rows, err := w.Claim(tb.Context(), []store.Slots{{Lane: "lane-of-" + id.String(), Free: 1}})
	if err != nil || len(rows) != 1 || rows[0].ID != id {
		tb.Fatalf("claim %s: %v, %v", id, rows, err)
	}
	return rows[0]
}

// InTools returns a request whose turn waits for n tool calls.
func InTools(tb testing.TB, w *World, n int, change ...func(*store.NewRequest)) run.Row {
	tb.Helper()
	r := Claimed(tb, w, change...)
	return Commit(tb, w, r, run.TurnCommit{Steps: NewSteps(n)})
}

// InSettle returns a request whose outcome is decided.
func InSettle(tb testing.TB, w *World, outcome run.Status, change ...func(*store.NewRequest)) run.Row {
	tb.Helper()
	r := Claimed(tb, w, change...)
	return Commit(tb, w, r, run.TurnCommit{Outcome: outcome, Reason: "because"})
}

// Settled returns a request in a terminal status, whose after-work is due if
// live.
func Settled(tb testing.TB, w *World, status run.Status, live bool) run.Row {
	tb.Helper()
	var r run.Row
	switch status {
	case run.Cancelled:
		r = InTools(tb, w, 2)
	case run.Expired:
		r = InTools(tb, w, 2, Overdue)
	default:
		r = InSettle(tb, w, status)
	}
	Settle(tb, w, r, status, live)
	return Look(tb, w, r.ID)
}

// Settle settles a request.
func Settle(tb testing.TB, w *World, r run.Row, status run.Status, live bool) {
	tb.Helper()
	o := store.Settlement{ID: r.ID, Tenant: r.Tenant, Epoch: r.Epoch, Status: status, AfterWork: live}
	if err := w.Settle(tb.Context(), o); err != nil {
		tb.Fatal(err)
	}
}

// Commit commits a turn of a request.
func Commit(tb testing.TB, w *World, r run.Row, t run.TurnCommit) run.Row {
	tb.Helper()
	t.Fence, t.Model = FenceOf(r), r.Model
	after, err := w.CommitTurn(tb.Context(), r, t)
	if err != nil {
		tb.Fatal(err)
	}
	return after
}

// Look reads a row.
func Look(tb testing.TB, w *World, id uuid.UUID) run.Row {
	tb.Helper()
	r, err := w.Look(tb.Context(), id)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// Steps reads the audit trail of a request of [Tenant].
func Steps(tb testing.TB, w *World, id uuid.UUID) []run.Step {
	tb.Helper()
	all, err := w.Steps(tb.Context(), Tenant, id)
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

// FenceOf returns the fence of a row's turn.
func FenceOf(r run.Row) run.Fence {
	return run.Fence{ID: r.ID, Epoch: r.Epoch, Turn: r.Turn, Attempt: r.Attempt}
}

// NewSteps returns n tool calls with indexes from 1.
func NewSteps(n int) []run.NewStep {
	out := make([]run.NewStep, n)
	for i := range out {
		input := fmt.Appendf(nil, `{"n":%d}`, i+1)
		sum := sha256.Sum256(input)
		out[i] = run.NewStep{
			Index: i + 1, Name: "search", Pool: "default", CallID: fmt.Sprintf("call_%d", i+1),
			Input: input, InputHash: sum[:],
		}
	}
	return out
}

// ResultOf returns the result of one tool call.
func ResultOf(r run.Row, step run.Step) store.ToolResult {
	return store.ToolResult{
		ID: r.ID, Epoch: r.Epoch, Turn: step.Turn, Index: step.Index, Attempt: step.Attempt, CallID: step.CallID,
		InputHash: step.InputHash, Output: []byte("found"), Took: time.Millisecond,
	}
}

// Results returns the results of all tool calls of a row.
func Results(r run.Row) []store.ToolResult {
	return postgres.Column(r.Steps, func(step run.Step) store.ToolResult { return ResultOf(r, step) })
}

// CommitResults commits results and returns the rows that they moved.
func CommitResults(tb testing.TB, w *World, all ...store.ToolResult) []run.Row {
	tb.Helper()
	turned, err := w.CommitResults(tb.Context(), all)
	if err != nil {
		tb.Fatal(err)
	}
	return postgres.Column(turned, func(p store.Progress) run.Row { return p.Row })
}

// WantErr fails the test unless got is want and no outage.
func WantErr(tb testing.TB, what string, got, want error) {
	tb.Helper()
	if !errors.Is(got, want) || postgres.Unavailable(got) {
		tb.Errorf("%s = %v, want %v", what, got, want)
	}
}

// Key returns an idempotency key with a hash that depends only on key.
func Key(key string) idempotency.Key {
	hash := sha256.Sum256([]byte(key))
	return idempotency.Key{Key: key, Hash: hash[:]}
}

// Refusal returns the error of accepting a request.
func Refusal(tb testing.TB, w *World, n store.NewRequest) error {
	tb.Helper()
	_, err := w.Accept(tb.Context(), n)
	return err
}

// Accept accepts a request.
func Accept(tb testing.TB, w *World, n store.NewRequest) store.Acceptance {
	tb.Helper()
	a, err := w.Accept(tb.Context(), n)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// WithKey returns a request with an idempotency key, not accepted yet.
func WithKey(key string) store.NewRequest {
	n := NewRequest()
	n.Once = Key(key)
	return n
}

// Use reads what was done with an idempotency key.
func Use(tb testing.TB, w *World, tenant, key string) idempotency.Use {
	tb.Helper()
	use, err := w.Idempotency.Read(tb.Context(), tenant, key)
	if err != nil {
		tb.Fatal(err)
	}
	return *use
}

// Line returns n completed requests of one turn each, each continuing the one
// before.
func Line(tb testing.TB, w *World, n int) []run.Row {
	tb.Helper()
	rows := make([]run.Row, n)
	parent := uuid.Nil
	for i := range rows {
		r := Claimed(tb, w, func(n *store.NewRequest) { n.Parent, n.Body = parent, fmt.Appendf(nil, "body %d", i) })
		if r.Parent != parent {
			tb.Fatalf("the claimed row continues %s, want %s", uuid.UUID(r.Parent), parent)
		}
		Commit(tb, w, r, run.TurnCommit{Outcome: run.Completed, Output: fmt.Appendf(nil, "output %d", i)})
		o := store.Settlement{ID: r.ID, Epoch: r.Epoch, Status: run.Completed, Answer: fmt.Appendf(nil, "answer %d", i)}
		if err := w.Settle(tb.Context(), o); err != nil {
			tb.Fatal(err)
		}
		rows[i], parent = Look(tb, w, r.ID), r.ID
	}
	return rows
}
