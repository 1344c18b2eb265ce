package load

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

func TestDriveStops(t *testing.T) {
	t.Parallel()
	fine := func(context.Context, int64) error { return nil }
	far := time.Now().Add(time.Hour)
	var flying, most atomic.Int64
	tests := []struct {
		name  string
		ended bool // cancel its context first
		load  Load
		do    func(context.Context, int64) error
		want  int
	}{
		{"after its runs", false, Load{Workers: 4, First: 10, Most: 25, Until: far}, func(context.Context, int64) error {
			defer flying.Add(-1)
			if n := flying.Add(1); n > most.Load() {
				most.Store(n)
			}
			return nil
		}, 25},
		{"at its time", false, Load{Workers: 4, First: 10, Most: 25, Until: time.Now()}, fine, 0},
		{"when its context has ended", true, Load{Workers: 4, First: 10, Most: 25, Until: far}, fine, 0},
		{"when all fails", false, Load{Workers: 1, First: 10, Most: 1000, Until: far}, func(context.Context, int64) error {
			return errors.New("refused")
		}, maxFailures},
	}
	for _, tt := range tests {
		ctx, cancel := context.WithCancel(t.Context())
		if tt.ended {
			cancel()
		}
		runs, _ := tt.load.Drive(ctx, tt.do)
		cancel()
		if len(runs) != tt.want {
			t.Errorf("%s: %d runs, want %d", tt.name, len(runs), tt.want)
		}
		for i, r := range runs {
			if r.Seed != tt.load.First+int64(i) {
				t.Errorf("%s: run %d has seed %d, want no gaps from %d on", tt.name, i, r.Seed, tt.load.First)
			}
		}
	}
	if most.Load() > 4 {
		t.Errorf("%d runs at the same time, want at most 4", most.Load())
	}
}
