package relay

import (
	"testing"

	"windlass.dev/windlass/pkg/run"
)

func TestForms(t *testing.T) {
	t.Parallel()
	for _, e := range run.Endpoints() {
		if _, ok := forms[e]; ok != e.Relayed() {
			t.Errorf("%s: has a form %v, is relayed %v", e, ok, e.Relayed())
		}
	}
}
