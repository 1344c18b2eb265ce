package store_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/runtest"
)

// Grouped statements lock their rows in the order of ids. Two of them are
// stopped at the row in the middle, which a third transaction holds: had they
// begun at different ends, each would hold the row that the other needs next.
func TestGroupsLockInOneOrder(t *testing.T) {
	t.Parallel()
	results := func(ctx context.Context, s *runtest.World, rows []run.Row) error {
		var all []store.ToolResult
		for _, r := range rows {
			all = append(all, runtest.Results(r)...)
		}
		_, err := s.CommitResults(ctx, all)
		return err
	}
	settle := func(ctx context.Context, s *runtest.World, rows []run.Row) error {
		var all []store.Settlement
		for _, r := range rows {
			all = append(all, store.Settlement{ID: r.ID, Tenant: r.Tenant, Status: run.Cancelled})
		}
		_, err := s.SettleAll(ctx, all)
		return err
	}
	turns := func(ctx context.Context, s *runtest.World, rows []run.Row) error {
		var all []run.TurnCommit
		for _, r := range rows {
			all = append(all, run.TurnCommit{Fence: runtest.FenceOf(r), Steps: runtest.NewSteps(1)})
		}
		_, err := s.CommitTurns(ctx, all)
		return err
	}
	inTools := func(t *testing.T, s *runtest.World) run.Row { return runtest.InTools(t, s, 2) }
	claimed := func(t *testing.T, s *runtest.World) run.Row { return runtest.Claimed(t, s) }
	type group = func(context.Context, *runtest.World, []run.Row) error
	for name, tt := range map[string]struct {
		row           func(*testing.T, *runtest.World) run.Row
		first, second group
	}{
		"results, settlements": {inTools, results, settle},
		"settlements, results": {inTools, settle, results},
		"turns, settlements":   {claimed, turns, settle},
		"settlements, turns":   {claimed, settle, turns},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := runtest.Open(t)
			rows := []run.Row{tt.row(t, s), tt.row(t, s), tt.row(t, s)}
			slices.SortFunc(rows, func(a, b run.Row) int { return slices.Compare(a.ID[:], b.ID[:]) })
			release := holdRow(t, s, rows[1].ID)
			back := slices.Clone(rows)
			slices.Reverse(back)
			var wg sync.WaitGroup
			wg.Go(func() {
				if err := tt.first(t.Context(), s, rows); err != nil {
					t.Errorf("first: %v", err)
				}
			})
			awaitLockWaits(t, s, 1)
			wg.Go(func() {
				if err := tt.second(t.Context(), s, back); err != nil {
					t.Errorf("second: %v", err)
				}
			})
			awaitLockWaits(t, s, 2)
			release()
			wg.Wait()
		})
	}
}

// holdRow locks the row of a request until release is called.
func holdRow(t *testing.T, s *runtest.World, id uuid.UUID) (release func()) {
	t.Helper()
	conn, err := s.DB.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT FROM requests WHERE id = $1 FOR UPDATE`, id); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(t.Context()); err != nil {
			t.Errorf("release the row: %v", err)
		}
		conn.Release()
	}
}

// awaitLockWaits waits until n statements wait for a lock.
func awaitLockWaits(t *testing.T, s *runtest.World, n int64) {
	t.Helper()
	const sql = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
	for deadline := time.Now().Add(20 * time.Second); ; <-time.After(5 * time.Millisecond) {
		if runtest.Ask[int64](t, s, sql)[0] >= n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("fewer than %d statements wait for a lock", n)
		}
	}
}

// A request that names another tenant's conversation is refused and changes
// nothing there, even with the version that its owner sees.
func TestAnotherTenantsConversationIsNotTaken(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	id := runtest.Conversation(t, s, 1)
	n := runtest.NewRequest()
	runtest.On(id, 0)(&n)
	n.Tenant = "stranger"
	wantStale(t, "an accept of another tenant", runtest.Refusal(t, s, n))
	if c := runtest.State(t, s, id); c.Locked || c.Version != 0 {
		t.Errorf("the conversation is %+v, want it free at version 0", c)
	}
}
