package ask

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/bustest"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/internal/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMarksProveNothingWhenTheyAreLost(t *testing.T) {
	t.Parallel()
	b := bustest.Connect(t, bustest.Server(t))
	if err := b.Ensure(t.Context(), bus.Topology{ResultsSince: time.Now()}); err != nil {
		t.Fatal(err)
	}
	reg, err := registry.New(registry.File{
		Models: []registry.Model{{Name: "m", Upstream: registry.Upstream{URL: "http://model.example.com"}}},
		Tools: []registry.Tool{
			{Name: "once", URL: "http://tool.example.com", Effect: registry.AtMostOnce},
			{Name: "plain", URL: "http://tool.example.com"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	a := &Answerer{Worker: &worker.Worker{Bus: b, Registry: reg}}
	for _, tt := range []struct {
		name, tool string
		age        time.Duration // of the call
		want       bool
	}{
		{"marks made with the call", "once", 0, true},
		{"marks older than the call", "once", -time.Hour, false},
		{"marks that are gone by now", "once", 80 * time.Hour, true},
		{"a tool that needs none", "plain", 80 * time.Hour, false},
		{"a tool that is not known any more", "gone", 80 * time.Hour, true},
	} {
		got, err := a.uncertain(t.Context(), run.Step{Name: tt.tool, Age: tt.age})
		if got != tt.want || err != nil {
			t.Errorf("%s: uncertain = %t, %v; want %t", tt.name, got, err, tt.want)
		}
	}
}
