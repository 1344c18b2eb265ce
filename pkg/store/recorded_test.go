package store

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

func TestRecorded(t *testing.T) {
	t.Parallel()
	s := open(t)
	rows := line(t, s, 2)
	foreign := claimed(t, s, func(n *NewRequest) { n.Tenant = "another" })
	commit(t, s, foreign, TurnCommit{Outcome: Completed, Output: []byte("output 0")})
	unsaid := claimed(t, s)
	keys := []TurnKey{{Request: rows[0].ID, Turn: 1}, {Request: rows[1].ID, Turn: 1}, {Request: rows[0].ID, Turn: 2}, {Request: foreign.ID, Turn: 1}, {Request: unsaid.ID, Turn: 1}, {Request: uuid.New(), Turn: 1}, {Request: rows[0].ID, Turn: 1}}
	for part, want := range map[string]map[TurnKey][]byte{
		"output": {keys[0]: []byte("output 0"), keys[1]: []byte("output 1")},
		" 1":     {keys[1]: []byte("output 1")},
		"%":      {},
	} {
		got, err := s.Recorded(t.Context(), testTenant, keys, []byte(part))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("with %q (-want +got):\n%s", part, diff)
		}
	}
	if got, err := s.Recorded(t.Context(), testTenant, nil, []byte("output")); err != nil || len(got) > 0 {
		t.Errorf("of no turns %v, %v", got, err)
	}
}
