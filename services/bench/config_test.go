package bench

import (
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/services/bench/internal/scenario"
)

func TestConfigFaults(t *testing.T) {
	t.Parallel()
	fine := Config{Scenarios: []string{"B1", "b2", "B3"}, Concurrency: []int{1, 16}, Time: time.Second}
	if err := fine.Validate(); err != nil {
		t.Errorf("Validate = %v, want nil", err)
	}
	err := (&Config{Concurrency: []int{0}, Runs: -1, Think: time.Hour, Dialect: "soap"}).Validate()
	for _, want := range []string{"scenario", "concurrency", "runs", "time is", "think", "dialect"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate = %v, want a fault about %q", err, want)
		}
	}
	if _, err := scenario.Parse("B9"); err == nil {
		t.Error("Parse(B9) = nil error, want one")
	}
}
