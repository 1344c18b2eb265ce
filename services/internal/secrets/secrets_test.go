package secrets

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	for list, want := range map[string][]string{
		"":              {""},
		" alone\n":      {" alone\n"},
		"new, old":      {"new", "old"},
		" a\n,b ,\tc\n": {"a", "b", "c"},
		"a,,b":          {"a", "", "b"},
		"a,":            {"a", ""},
	} {
		var got []string
		for _, secret := range Split([]byte(list)) {
			got = append(got, string(secret))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Split(%q) (-want +got):\n%s", list, diff)
		}
	}
}
