package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/runtest"
)

func TestRecorded(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	rows := runtest.Line(t, s, 2)
	foreign := runtest.Claimed(t, s, func(n *store.NewRequest) { n.Tenant = "another" })
	runtest.Commit(t, s, foreign, run.TurnCommit{Outcome: run.Completed, Output: []byte("output 0")})
	unsaid := runtest.Claimed(t, s)
	keys := []run.TurnKey{{Request: rows[0].ID, Turn: 1}, {Request: rows[1].ID, Turn: 1}, {Request: rows[0].ID, Turn: 2}, {Request: foreign.ID, Turn: 1}, {Request: unsaid.ID, Turn: 1}, {Request: uuid.New(), Turn: 1}, {Request: rows[0].ID, Turn: 1}}
	for part, want := range map[string]map[run.TurnKey][]byte{
		"output": {keys[0]: []byte("output 0"), keys[1]: []byte("output 1")},
		" 1":     {keys[1]: []byte("output 1")},
		"%":      {},
	} {
		got, err := s.TurnOutputs(t.Context(), runtest.Tenant, keys, []byte(part))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("with %q (-want +got):\n%s", part, diff)
		}
	}
	if got, err := s.TurnOutputs(t.Context(), runtest.Tenant, nil, []byte("output")); err != nil || len(got) > 0 {
		t.Errorf("of no turns %v, %v", got, err)
	}
}
