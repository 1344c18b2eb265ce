package gateway

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/auth"
)

// TestACancelThatLosesShowsTheRealEnd: the cancel reads the row while it is in
// progress, and waits for its lock behind the commit that completes it.
func TestACancelThatLosesShowsTheRealEnd(t *testing.T) {
	t.Parallel()
	s := raise(t)
	id := s.background()
	row := s.commit(s.claim(), run.TurnCommit{Outcome: run.Completed, Output: []byte(`[]`)})
	conn, err := pgx.Connect(t.Context(), s.database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	watch, err := pgx.Connect(t.Context(), s.database) // a transaction keeps its first view of the activity
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = watch.Close(t.Context()) }()
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT FROM requests WHERE id = $1 FOR UPDATE`, row.ID); err != nil {
		t.Fatal(err)
	}
	waiting := func(n int) {
		eventually(t, "statements that wait for the row", func() bool {
			var got int
			err := watch.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
				WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&got)
			return err == nil && got >= n
		})
	}
	const final = `{"status":"completed"}`
	var settled sync.WaitGroup
	settled.Go(func() {
		err := s.store.Settle(t.Context(), store.Settlement{
			ID: row.ID, Tenant: auth.DefaultTenant, Epoch: row.Epoch, Status: run.Completed, Answer: []byte(final),
		})
		if err != nil {
			t.Errorf("settle: %v", err)
		}
	})
	waiting(1)
	cancelled := s.later("POST", "/v1/responses/"+id+"/cancel", "")
	waiting(2)
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	settled.Wait()
	var r reply
	select {
	case r = <-cancelled:
	case <-time.After(patienceOfTests):
		t.Fatal("the cancel has no answer")
	}
	if r.status != http.StatusOK {
		t.Fatalf("the cancel that lost answered %d %s, want 200", r.status, r.body)
	}
	same(t, "answer", r.body, final)
}
