package store_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/runtest"
)

func TestAncestorsAreReadOldestFirst(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	rows := runtest.Line(t, s, 3)
	runtest.Line(t, s, 2) // somebody else's
	for n := range rows {
		chains, err := s.Ancestors(t.Context(), runtest.Tenant, rows[n].ID)
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
	s := runtest.Open(t)
	rows := runtest.Line(t, s, 3)
	got, err := s.Previous(t.Context(), runtest.Tenant, rows[2].ID)
	if err != nil {
		t.Fatal(err)
	}
	want := store.Previous{
		Status: run.Completed, Stored: true, Final: []byte("answer 2"), Length: 3, Bytes: 3 * int64(len("body 0")+len("output 0")),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a whole line (-want +got):\n%s", diff)
	}
	hidden := runtest.Accepted(t, s, func(n *store.NewRequest) { n.Unstored = true })
	got, err = s.Previous(t.Context(), runtest.Tenant, hidden)
	if err != nil || got.Stored || got.Status != run.Queued || got.Final != nil || got.Length != 1 {
		t.Errorf("Previous of a queued request that is not stored = %+v, %v", got, err)
	}
	a, err := s.Answers.Read(t.Context(), runtest.Tenant, hidden)
	if err != nil || a.Stored {
		t.Errorf("Answer of a request that is not stored = %+v, %v", a, err)
	}
}

func TestALineIsBounded(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	last := runtest.Line(t, s, 1)[0].ID
	// Rows without bodies are enough to be counted.
	const extendSQL = `
INSERT INTO requests (id, tenant, endpoint, model, lane, tier, background, vft, deadline, status, finished_at, previous)
SELECT $2, tenant, endpoint, model, lane, tier, background, vft, deadline, status, finished_at, id FROM requests WHERE id = $1`
	for n := 2; n <= store.MaxAncestors+3; n++ {
		next := uuid.Must(uuid.NewV7())
		runtest.Exec(t, s, extendSQL, uuid.UUID(last), next)
		last = next
		got, err := s.Previous(t.Context(), runtest.Tenant, last)
		tooLong := n > store.MaxAncestors
		if err != nil || (got.Length > store.MaxAncestors) != tooLong || (got.Gap != uuid.Nil) != (n > store.MaxAncestors+1) {
			t.Fatalf("Previous of a line of %d = %+v, %v", n, got, err)
		}
	}
}

func TestAnotherTenantsRequestIsNotThere(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	rows := runtest.Line(t, s, 2)
	const other = "other"
	_, previous := s.Previous(t.Context(), other, rows[1].ID)
	_, ancestors := s.Ancestors(t.Context(), other, rows[1].ID)
	_, body := s.Answers.Body(t.Context(), other, rows[1].ID)
	for what, err := range map[string]error{"Previous": previous, "Ancestors": ancestors, "Body": body} {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s for another tenant = %v, want ErrNotFound", what, err)
		}
	}
	wantStale(t, "Delete for another tenant", s.Retention.Delete(t.Context(), other, rows[1].ID))
	runtest.Exec(t, s, `UPDATE requests SET tenant = 'other' WHERE id = $1`, rows[0].ID)
	if _, err := s.Ancestors(t.Context(), runtest.Tenant, rows[1].ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Ancestors across tenants = %v, want ErrNotFound", err)
	}
	if got, err := s.Previous(t.Context(), runtest.Tenant, rows[1].ID); err != nil || got.Gap != rows[0].ID {
		t.Errorf("Previous across tenants = %+v, %v; want a gap", got, err)
	}
}
