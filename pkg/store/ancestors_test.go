package store

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// line is n completed requests of one turn each, every one continuing the one before.
func line(tb testing.TB, s *Store, n int) []Row {
	tb.Helper()
	rows := make([]Row, n)
	parent := uuid.Nil
	for i := range rows {
		r := claimed(tb, s, func(n *NewRequest) { n.Parent, n.Body = parent, fmt.Appendf(nil, "body %d", i) })
		if r.Parent != parent {
			tb.Fatalf("the claimed row continues %s, want %s", uuid.UUID(r.Parent), parent)
		}
		commit(tb, s, r, TurnCommit{Outcome: Completed, Output: fmt.Appendf(nil, "output %d", i)})
		o := Settlement{ID: r.ID, Epoch: r.Epoch, Status: Completed, Answer: fmt.Appendf(nil, "answer %d", i)}
		if err := s.Settle(tb.Context(), o); err != nil {
			tb.Fatal(err)
		}
		rows[i], parent = look(tb, s, r.ID), r.ID
	}
	return rows
}

func TestAncestorsAreReadOldestFirst(t *testing.T) {
	t.Parallel()
	s := open(t)
	rows := line(t, s, 3)
	line(t, s, 2) // somebody else's
	for n := range rows {
		chains, err := s.Ancestors(t.Context(), testTenant, rows[n].ID)
		if err != nil {
			t.Fatal(err)
		}
		var got, want []string
		for _, c := range chains {
			got = append(got, string(c.Body), string(c.Steps[0].Output))
		}
		for i := range n + 1 {
			want = append(want, fmt.Sprintf("body %d", i), fmt.Sprintf("output %d", i))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("from request %d (-want +got):\n%s", n, diff)
		}
	}
	if c, err := s.Load(t.Context(), rows[1].ID); err != nil || c.Parent != rows[0].ID {
		t.Errorf("Load = parent %s, %v; want %s", uuid.UUID(c.Parent), err, uuid.UUID(rows[0].ID))
	}
}

func TestPrevious(t *testing.T) {
	t.Parallel()
	s := open(t)
	rows := line(t, s, 3)
	got, err := s.Previous(t.Context(), testTenant, rows[2].ID)
	if err != nil {
		t.Fatal(err)
	}
	want := Previous{
		Status: Completed, Stored: true, Final: []byte("answer 2"), Length: 3, Bytes: 3 * int64(len("body 0")+len("output 0")),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a whole line (-want +got):\n%s", diff)
	}
	hidden := accepted(t, s, func(n *NewRequest) { n.Unstored = true })
	got, err = s.Previous(t.Context(), testTenant, hidden)
	if err != nil || got.Stored || got.Status != Queued || got.Final != nil || got.Length != 1 {
		t.Errorf("Previous of a queued request that is not stored = %+v, %v", got, err)
	}
	a, err := s.Answer(t.Context(), testTenant, hidden)
	if err != nil || a.Stored {
		t.Errorf("Answer of a request that is not stored = %+v, %v", a, err)
	}
}

func TestALineIsBounded(t *testing.T) {
	t.Parallel()
	s := open(t)
	last := line(t, s, 1)[0].ID
	// Rows without bodies are enough to be counted.
	const extendSQL = `
INSERT INTO requests (id, tenant, endpoint, model, lane, tier, background, vft, deadline, status, finished_at, previous)
SELECT $2, tenant, endpoint, model, lane, tier, background, vft, deadline, status, finished_at, id FROM requests WHERE id = $1`
	for n := 2; n <= MaxAncestors+3; n++ {
		next := uuid.Must(uuid.NewV7())
		exec(t, s, extendSQL, uuid.UUID(last), next)
		last = next
		got, err := s.Previous(t.Context(), testTenant, last)
		tooLong := n > MaxAncestors
		if err != nil || (got.Length > MaxAncestors) != tooLong || (got.Gap != uuid.Nil) != (n > MaxAncestors+1) {
			t.Fatalf("Previous of a line of %d = %+v, %v", n, got, err)
		}
	}
}

func TestAnotherTenantsRequestIsNotThere(t *testing.T) {
	t.Parallel()
	s := open(t)
	rows := line(t, s, 2)
	const other = "other"
	_, previous := s.Previous(t.Context(), other, rows[1].ID)
	_, ancestors := s.Ancestors(t.Context(), other, rows[1].ID)
	_, body := s.Body(t.Context(), other, rows[1].ID)
	for what, err := range map[string]error{"Previous": previous, "Ancestors": ancestors, "Body": body} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s for another tenant = %v, want ErrNotFound", what, err)
		}
	}
	wantStale(t, "Delete for another tenant", s.Delete(t.Context(), other, rows[1].ID))
	exec(t, s, `UPDATE requests SET tenant = 'other' WHERE id = $1`, uuid.UUID(rows[0].ID))
	if _, err := s.Ancestors(t.Context(), testTenant, rows[1].ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("Ancestors across tenants = %v, want ErrNotFound", err)
	}
	if got, err := s.Previous(t.Context(), testTenant, rows[1].ID); err != nil || got.Gap != rows[0].ID {
		t.Errorf("Previous across tenants = %+v, %v; want a gap", got, err)
	}
}

func TestDeleteTakesEverythingOfOneRequest(t *testing.T) {
	t.Parallel()
	s := open(t)
	rows := line(t, s, 3)
	body, err := s.Body(t.Context(), testTenant, rows[1].ID)
	if err != nil || string(body) != "body 1" {
		t.Errorf("Body = %q, %v; want what was accepted", body, err)
	}
	if err := s.Delete(t.Context(), testTenant, rows[1].ID); err != nil {
		t.Fatal(err)
	}
	const leftSQL = `
SELECT count(*) FILTER (WHERE id = $1) || ' of ' || count(*) FROM
  (SELECT id FROM requests UNION ALL SELECT request_id FROM steps UNION ALL SELECT request_id FROM bodies
   UNION ALL SELECT request_id FROM labels) AS x(id)`
	if got := ask[string](t, s, leftSQL, uuid.UUID(rows[1].ID)); got[0] != "0 of 9" {
		t.Errorf("rows left are %s, want 0 of the 9 that two requests have", got[0])
	}
	wantStale(t, "a second Delete", s.Delete(t.Context(), testTenant, rows[1].ID))
	if _, err := s.Ancestors(t.Context(), testTenant, rows[2].ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("Ancestors over a gap = %v, want ErrNotFound", err)
	}
	if got, err := s.Previous(t.Context(), testTenant, rows[2].ID); err != nil || got.Gap != rows[1].ID || got.Length != 1 {
		t.Errorf("Previous over a gap = %+v, %v; want the gap named", got, err)
	}
}

func TestDeleteLeavesWhatIsNotToBeDeleted(t *testing.T) {
	t.Parallel()
	s := open(t)
	hidden := inSettle(t, s, Completed, func(n *NewRequest) { n.Unstored = true })
	settle(t, s, hidden, Completed, false)
	all := map[string]uuid.UUID{
		"queued": accepted(t, s), "in progress": inTools(t, s, 1).ID, "decided": inSettle(t, s, Completed).ID,
		"not stored": hidden.ID, "unknown": uuid.New(),
	}
	before := dump(t, s)
	for what, id := range all {
		wantStale(t, "Delete of a request that is "+what, s.Delete(t.Context(), testTenant, id))
	}
	if diff := cmp.Diff(before, dump(t, s)); diff != "" {
		t.Errorf("a refused Delete wrote (-before +after):\n%s", diff)
	}
	if got := steps(t, s, hidden.ID); len(got) != 0 {
		t.Errorf("the audit trail of a request that is not stored shows %d steps", len(got))
	}
	if _, err := s.Body(t.Context(), testTenant, hidden.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("Body of a request that is not stored = %v, want ErrNotFound", err)
	}
}
