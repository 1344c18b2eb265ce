package dialect

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/registry"
)

func TestEveryDialectIsRegistered(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(slices.Sorted(slices.Values(registry.Dialects())), slices.Sorted(maps.Keys(all))); diff != "" {
		t.Errorf("dialects of the registry and of this package (-want +got):\n%s", diff)
	}
	for _, name := range registry.Dialects() {
		if Named(name).Path() == "" {
			t.Errorf("the dialect %s has no path", name)
		}
	}
}
