package store_test

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/runtest"
)

func TestClaimRespectsFreeSlotsPerLane(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	for _, lane := range []string{"a", "b", "c"} {
		for range 5 {
			runtest.Accepted(t, s, func(n *store.NewRequest) { n.Lane = lane })
		}
	}
	rows, err := s.Claim(t.Context(), []store.Slots{{"a", 2}, {"b", 10}, {"c", 0}, {"none", 3}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, r := range rows {
		got[r.Lane]++
	}
	if diff := cmp.Diff(map[string]int{"a": 2, "b": 5}, got); diff != "" {
		t.Errorf("claimed per lane (-want +got):\n%s", diff)
	}
	if rows, err := s.Claim(t.Context(), nil); len(rows) != 0 || err != nil {
		t.Errorf("Claim without lanes = %v, %v; want nothing", rows, err)
	}
}

func TestClaimOpensTheFirstTurn(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	r := runtest.Claimed(t, s)
	if r.Status != run.InProgress || r.Stage != run.StageModel || !r.Live || r.Epoch != 1 || r.Turn != 1 || r.Attempt != 1 || r.Next() != run.RunTurn {
		t.Errorf("claimed row %+v, want in progress at epoch 1, turn 1, attempt 1", r)
	}
	if diff := cmp.Diff(runtest.Look(t, s, r.ID), r, asRead); diff != "" {
		t.Errorf("the row read (-) and the row claimed (+) differ:\n%s", diff)
	}
	all := runtest.Steps(t, s, r.ID)
	if len(all) != 1 || all[0].Kind != "model" || all[0].Index != 0 || all[0].Turn != 1 || all[0].State != run.StepDispatched {
		t.Errorf("steps %+v, want one dispatched model call", all)
	}
	chain, err := s.Load(t.Context(), r.ID)
	if err != nil || string(chain.Body) != string(runtest.NewRequest().Body) || len(chain.Steps) != 1 || chain.Row.Steps != nil {
		t.Errorf("Load = %+v, %v; want the body and one step", chain, err)
	}
}

func TestClaimersInParallelShareNoRow(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	const total = 300
	for range total {
		runtest.Accepted(t, s)
	}
	var mu sync.Mutex
	seen := make(map[uuid.UUID]int)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				rows, err := s.Claim(t.Context(), []store.Slots{{runtest.Lane, 7}})
				if err != nil {
					t.Error(err)
				}
				if len(rows) == 0 {
					return
				}
				mu.Lock()
				for _, r := range rows {
					seen[r.ID]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s was claimed %d times, want once", id, n)
		}
	}
	if len(seen) != total {
		t.Errorf("%d requests claimed, want %d", len(seen), total)
	}
	if got := runtest.Ask[int](t, s, `SELECT count(*) FROM steps`)[0]; got != total {
		t.Errorf("%d steps opened, want %d", got, total)
	}
}

// A claimer must not wait for a row that a cancel holds.
func TestClaimSkipsLockedRows(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	held, free := runtest.Accepted(t, s), runtest.Accepted(t, s)
	conn, err := s.DB.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT FROM requests WHERE id = $1 FOR UPDATE`, held); err != nil {
		t.Fatal(err)
	}
	rows, err := s.Claim(t.Context(), []store.Slots{{runtest.Lane, 2}})
	if err != nil || len(rows) != 1 || rows[0].ID != free {
		t.Errorf("Claim beside a locked row = %v, %v; want only %s", rows, err, free)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err = s.Claim(t.Context(), []store.Slots{{runtest.Lane, 2}})
	if err != nil || len(rows) != 1 || rows[0].ID != held {
		t.Errorf("Claim after the lock = %v, %v; want %s", rows, err, held)
	}
}
