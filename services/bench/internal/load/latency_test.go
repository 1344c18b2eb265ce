package load

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestQuantile(t *testing.T) {
	t.Parallel()
	values := make([]time.Duration, 0, 100)
	for i := 100; i > 0; i-- {
		values = append(values, time.Duration(i))
	}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 50, 0.99: 99, 1: 100} {
		if got := Quantile(values, q); got != want {
			t.Errorf("quantile(%g) = %d, want %d", q, got, want)
		}
	}
	if got := Quantile(nil, 0.5); got != 0 {
		t.Errorf("quantile of nothing = %d, want 0", got)
	}
}

func TestAddedIsPairedBySeed(t *testing.T) {
	t.Parallel()
	got := AddedLatencies([]Run{{Seed: 1, Took: 10}, {Seed: 2, Took: 20}, {Seed: 3, Took: 30}}, []Run{{Seed: 2, Took: 5}, {Seed: 1, Took: 4}})
	if diff := cmp.Diff([]time.Duration{6, 15}, got); diff != "" {
		t.Errorf("added differs (-want +got):\n%s", diff)
	}
}
