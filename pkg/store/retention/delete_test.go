package retention_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/runtest"
)

func TestDeleteTakesEverythingOfOneRequest(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	rows := runtest.Line(t, s, 3)
	body, err := s.Answers.Body(t.Context(), runtest.Tenant, rows[1].ID)
	if err != nil || string(body) != "body 1" {
		t.Errorf("Body = %q, %v; want what was accepted", body, err)
	}
	if err := s.Retention.Delete(t.Context(), runtest.Tenant, rows[1].ID); err != nil {
		t.Fatal(err)
	}
	const leftSQL = `
SELECT count(*) FILTER (WHERE id = $1) || ' of ' || count(*) FROM
  (SELECT id FROM requests UNION ALL SELECT request_id FROM steps UNION ALL SELECT request_id FROM bodies
   UNION ALL SELECT request_id FROM labels) AS x(id)`
	if got := runtest.Ask[string](t, s, leftSQL, rows[1].ID); got[0] != "0 of 9" {
		t.Errorf("rows left are %s, want 0 of the 9 that two requests have", got[0])
	}
	wantStale(t, "a second Delete", s.Retention.Delete(t.Context(), runtest.Tenant, rows[1].ID))
	if _, err := s.Ancestors(t.Context(), runtest.Tenant, rows[2].ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Ancestors over a gap = %v, want ErrNotFound", err)
	}
	if got, err := s.Previous(t.Context(), runtest.Tenant, rows[2].ID); err != nil || got.Gap != rows[1].ID || got.Length != 1 {
		t.Errorf("Previous over a gap = %+v, %v; want the gap named", got, err)
	}
}

func TestDeleteLeavesWhatIsNotToBeDeleted(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	hidden := runtest.InSettle(t, s, run.Completed, func(n *store.NewRequest) { n.Unstored = true })
	runtest.Settle(t, s, hidden, run.Completed, false)
	all := map[string]uuid.UUID{
		"queued": runtest.Accepted(t, s), "in progress": runtest.InTools(t, s, 1).ID, "decided": runtest.InSettle(t, s, run.Completed).ID,
		"not stored": hidden.ID, "unknown": uuid.New(),
	}
	before := runtest.Dump(t, s)
	for what, id := range all {
		wantStale(t, "Delete of a request that is "+what, s.Retention.Delete(t.Context(), runtest.Tenant, id))
	}
	if diff := cmp.Diff(before, runtest.Dump(t, s)); diff != "" {
		t.Errorf("a refused Delete wrote (-before +after):\n%s", diff)
	}
	if got := runtest.Steps(t, s, hidden.ID); len(got) != 0 {
		t.Errorf("the audit trail of a request that is not stored shows %d steps", len(got))
	}
	if _, err := s.Answers.Body(t.Context(), runtest.Tenant, hidden.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Body of a request that is not stored = %v, want ErrNotFound", err)
	}
}
