package labels

import (
	"testing"

	"github.com/google/uuid"
)

// Pairs that look alike when they are written one behind the other have
// different labels.
func TestLabels(t *testing.T) {
	t.Parallel()
	seen := map[uuid.UUID][3]string{}
	for _, p := range [][3]string{
		{"t", "k", "v"}, {"t", "kv", ""}, {"t", "", "kv"}, {"tk", "", "v"}, {"", "t", "kv"}, {"t", "k\x00", "v"}, {"t", "k", "\x00v"},
	} {
		name := hash(p[:]...)
		if twin, taken := seen[name]; taken {
			t.Errorf("%q and %q have the label %s", p, twin, name)
		}
		seen[name] = p
	}
	parent := uuid.MustParse("00000000-0000-4000-8000-000000000001")
	for name := range labelsByName(parent) {
		if _, taken := seen[name]; taken {
			t.Errorf("what a response continues has the label of a pair, %s", name)
		}
	}
	if n := len(labelsByName(parent)); n != 3 {
		t.Errorf("a pair, a parent and a conversation have %d labels, want 3", n)
	}
	if got := hash("t", "k", "v").String(); got != "14411d18-c0af-2d9b-d1f8-0eeebb909197" { // rows have it
		t.Errorf("a label is %s, which is not what it was", got)
	}
}

// labelsByName are those of a response with a pair that looks like what it
// continues.
func labelsByName(id uuid.UUID) map[uuid.UUID]bool {
	names := map[uuid.UUID]bool{}
	for _, name := range Of("t", map[string]string{"previous": id.String()}, id, id) {
		names[name] = true
	}
	return names
}
