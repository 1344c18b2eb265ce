package retention_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/retention"
	"windlass.dev/windlass/pkg/store/runtest"
)

// kept is longer ago than anything of these tests but what was aged.
const kept = time.Hour

func compareIDs(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }

// aged makes a request one that was accepted two hours ago and, if it has
// ended, ended then: under another id, for ids tell the time.
func aged(t *testing.T, s *runtest.World, id uuid.UUID) uuid.UUID {
	t.Helper()
	old := id
	ms := time.Now().Add(-2 * kept).UnixMilli()
	for i := range 6 {
		old[i] = byte(ms >> (40 - 8*i))
	}
	runtest.Exec(t, s, `UPDATE requests SET id = $2, finished_at = finished_at - 2 * interval '1 hour' WHERE id = $1`, id, old)
	runtest.Exec(t, s, `UPDATE steps SET request_id = $2 WHERE request_id = $1`, id, old)
	runtest.Exec(t, s, `UPDATE bodies SET request_id = $2 WHERE request_id = $1`, id, old)
	runtest.Exec(t, s, `UPDATE labels SET request_id = $2 WHERE request_id = $1`, id, old)
	return old
}

// done is a request that has ended, with everything a request may have.
func done(t *testing.T, s *runtest.World, change ...func(*store.NewRequest)) uuid.UUID {
	t.Helper()
	r := runtest.InTools(t, s, 1, append(change, func(n *store.NewRequest) { n.Streamed, n.Metadata = true, map[string]string{"a": "1"} })...)
	r = runtest.CommitResults(t, s, runtest.Results(r)...)[0]
	r = runtest.Commit(t, s, r, run.TurnCommit{Outcome: run.Completed, Output: []byte("said")})
	o := store.Settlement{ID: r.ID, Epoch: r.Epoch, Status: run.Completed, Answer: []byte("answer"), AfterWork: true}
	if err := s.Settle(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if err := s.Archive(t.Context(), r.ID, []byte("events")); err != nil {
		t.Fatal(err)
	}
	return r.ID
}

const ownedSQL = `
SELECT id FROM (SELECT id FROM requests UNION SELECT request_id FROM steps UNION SELECT request_id FROM bodies
                UNION SELECT request_id FROM labels) x ORDER BY id`

func TestPurgeTakesWhatEndedLongAgo(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	var old, left []uuid.UUID
	for range 5 {
		old = append(old, aged(t, s, done(t, s)))
	}
	// Old, but not to be purged yet: what has not ended, what has after-work to
	// be done, what ended a moment ago.
	late := aged(t, s, done(t, s))
	runtest.Exec(t, s, `UPDATE requests SET finished_at = now() WHERE id = $1`, late)
	left = append(left, aged(t, s, runtest.Accepted(t, s)), aged(t, s, runtest.Claimed(t, s).ID), aged(t, s, runtest.Settled(t, s, run.Completed, true).ID), late)
	left = append(left, done(t, s))
	slices.SortFunc(left, compareIDs)
	w := retention.Page{}
	var gone []uuid.UUID
	for rounds := 0; ; rounds++ {
		var err error
		if w, err = s.Retention.Purge(t.Context(), kept, w.Last, 2); err != nil {
			t.Fatal(err)
		}
		for _, p := range w.Gone {
			gone = append(gone, p.ID)
			if !p.Tools {
				t.Errorf("%s is said to have had no calls of tools", p.ID)
			}
		}
		if w.Looked < 2 {
			break
		}
		if rounds > 10 {
			t.Fatal("the walk has no end")
		}
	}
	slices.SortFunc(gone, compareIDs)
	slices.SortFunc(old, compareIDs)
	if diff := cmp.Diff(old, gone); diff != "" {
		t.Errorf("what was purged (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(left, runtest.Ask[uuid.UUID](t, s, ownedSQL)); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
}

// A later walk may begin where nothing is left to look at, and not behind what
// was not due or was held.
func TestPurgeSaysUpToWhereItIsClear(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	var old []uuid.UUID
	for range 4 {
		old = append(old, aged(t, s, done(t, s)))
	}
	slices.SortFunc(old, compareIDs)
	conn, err := s.DB.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT FROM requests WHERE id = $1 FOR UPDATE`, old[2]); err != nil {
		t.Fatal(err)
	}
	w, err := s.Retention.Purge(t.Context(), kept, uuid.Nil, 10)
	if err != nil || w.Looked != 4 || len(w.Gone) != 3 || w.Last != old[3] || w.Clear != old[1] {
		t.Errorf("Purge beside somebody who holds the third of %v = %+v, %v", old, w, err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	w, err = s.Retention.Purge(t.Context(), kept, w.Clear, 10)
	if err != nil || w.Looked != 1 || len(w.Gone) != 1 || w.Clear != old[2] {
		t.Errorf("Purge of what was held = %+v, %v", w, err)
	}
	if w, err = s.Retention.Purge(t.Context(), kept, w.Clear, 10); err != nil || w.Looked != 0 || w.Clear != old[2] || w.Last != old[2] {
		t.Errorf("Purge of nothing = %+v, %v", w, err)
	}
}

// What continues a purged response cannot be continued any more, and its
// conversation has its items.
func TestPurgeEndsTheLine(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	conversation := runtest.Conversation(t, s, 2)
	parent := aged(t, s, done(t, s, runtest.On(conversation, 0)))
	child := done(t, s, func(n *store.NewRequest) { n.Parent = parent })
	items := runtest.Ask[int](t, s, `SELECT count(*) FROM conversation_items`)[0]
	if w, err := s.Retention.Purge(t.Context(), kept, uuid.Nil, 10); err != nil || len(w.Gone) != 1 {
		t.Fatalf("Purge = %+v, %v, want one gone", w, err)
	}
	if _, err := s.Answers.Read(t.Context(), runtest.Tenant, parent); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Answer of a purged request = %v, want ErrNotFound", err)
	}
	if p, err := s.Previous(t.Context(), runtest.Tenant, child); err != nil || p.Gap != parent {
		t.Errorf("Previous = %+v, %v, want the gap named", p, err)
	}
	if n := runtest.Ask[int](t, s, `SELECT count(*) FROM conversation_items`)[0]; n != items {
		t.Errorf("the conversation has %d items, want %d", n, items)
	}
}

func unstored(n *store.NewRequest) { n.Unstored = true }

// finishedBefore makes a request one that ended two hours ago.
func finishedBefore(t *testing.T, s *runtest.World, id uuid.UUID) uuid.UUID {
	t.Helper()
	runtest.Exec(t, s, `UPDATE requests SET finished_at = finished_at - 2 * interval '1 hour' WHERE id = $1`, id)
	return id
}

func TestEraseTakesPayloadsOfWhatIsNotStored(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	call := func(n *store.NewRequest) { n.Unstored, n.Endpoint = true, "chat/completions" }
	want := []uuid.UUID{finishedBefore(t, s, done(t, s, unstored)), finishedBefore(t, s, done(t, s, call))}
	// Not to be erased: what is stored, has ended a moment ago, has a key, has
	// not ended or has after-work to be done.
	finishedBefore(t, s, done(t, s))
	done(t, s, unstored)
	keyed := finishedBefore(t, s, done(t, s, unstored, func(n *store.NewRequest) { n.Once = runtest.Key("k") }))
	runtest.Claimed(t, s, unstored)
	waiting := runtest.InSettle(t, s, run.Completed, unstored)
	runtest.Settle(t, s, waiting, run.Completed, true)
	finishedBefore(t, s, waiting.ID)
	const payloadsSQL = `
SELECT count(*) FROM (SELECT request_id FROM bodies UNION ALL
                      SELECT request_id FROM steps WHERE input IS NOT NULL OR input_hash IS NOT NULL OR output IS NOT NULL) x
 WHERE request_id = ANY ($1)`
	all := runtest.Ask[int](t, s, `SELECT count(*) FROM bodies`)[0]
	own := runtest.Ask[int](t, s, `SELECT count(*) FROM bodies WHERE request_id = ANY ($1)`, want)[0]

	var gone []uuid.UUID
	for range 3 {
		some, err := s.Retention.Erase(t.Context(), kept, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range some {
			gone = append(gone, p.ID)
			if !p.Tools {
				t.Errorf("%s is said to have had no calls of tools", p.ID)
			}
		}
	}
	slices.SortFunc(gone, compareIDs)
	slices.SortFunc(want, compareIDs)
	if diff := cmp.Diff(want, gone); diff != "" {
		t.Errorf("what was erased (-want +got):\n%s", diff)
	}
	if n := runtest.Ask[int](t, s, payloadsSQL, want)[0]; n != 0 {
		t.Errorf("%d payloads are left", n)
	}
	if n := runtest.Ask[int](t, s, `SELECT count(*) FROM bodies`)[0]; n != all-own {
		t.Errorf("%d bodies are left of %d, %d of them to be erased", n, all, own)
	}
	trail, err := s.Call(t.Context(), runtest.Tenant, want[slices.IndexFunc(want, func(id uuid.UUID) bool {
		a, err := s.Answers.Read(t.Context(), runtest.Tenant, id)
		return err == nil && a.Endpoint != "responses" && a.Erased && a.Final == nil
	})])
	if err != nil || len(trail) != 3 || trail[0].FinishedAt == nil {
		t.Errorf("the audit trail is %+v, %v, want its three steps", trail, err)
	}

	runtest.Exec(t, s, `UPDATE idempotency SET expires_at = now()`)
	if n, err := s.Idempotency.Purge(t.Context(), 10); err != nil || n != 1 {
		t.Fatalf("Forget = %d, %v, want 1", n, err)
	}
	if some, err := s.Retention.Erase(t.Context(), kept, 10); err != nil || len(some) != 1 || some[0].ID != keyed {
		t.Errorf("Erase = %+v, %v, want what the key has let go", some, err)
	}
}

// Purges may run at the same time: each request is deleted once.
func TestPurgesBesideEachOther(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	for range 30 {
		aged(t, s, done(t, s))
		finishedBefore(t, s, done(t, s, unstored))
	}
	taken := make(chan uuid.UUID, 200)
	errs := make(chan error, 8)
	for range 4 {
		go func() {
			w, err := retention.Page{}, error(nil)
			for err == nil {
				if w, err = s.Retention.Purge(t.Context(), kept, w.Last, 7); len(w.Gone) == 0 {
					break
				}
				for _, p := range w.Gone {
					taken <- p.ID
				}
			}
			errs <- err
		}()
		go func() {
			for range 10 {
				some, err := s.Retention.Erase(t.Context(), kept, 7)
				if err != nil {
					errs <- err
					return
				}
				for _, p := range some {
					taken <- p.ID
				}
			}
			errs <- nil
		}()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	close(taken)
	seen := map[uuid.UUID]bool{}
	for id := range taken {
		if seen[id] {
			t.Errorf("%s was taken twice", id)
		}
		seen[id] = true
	}
	if w, err := s.Retention.Purge(t.Context(), kept, uuid.Nil, 100); err != nil || len(seen)+len(w.Gone) != 60 {
		t.Errorf("%d were taken, and %d (%v) after them, want 60", len(seen), len(w.Gone), err)
	}
}
