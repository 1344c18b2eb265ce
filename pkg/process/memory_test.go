package process

import (
	"runtime/debug"
	"testing"

	"github.com/sethvargo/go-envconfig"
	"go.uber.org/zap"
)

// The limit is of the whole process, so these cases run one after the other.
func TestTheMemoryLimit(t *testing.T) { //nolint:paralleltest // the limit is of the process
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	for _, tt := range []struct {
		name            string
		max, soft       int64 // soft: as the runtime has read it from GOMEMLIMIT
		gomemlimit      string
		want, wantLimit int64
	}{
		{name: "nothing is set", soft: noLimit, want: 1 << 30, wantLimit: 1<<30 - (1<<30)/10},
		{name: "the setting", max: 1000 << 20, soft: noLimit, want: 1000 << 20, wantLimit: 900 << 20},
		{name: "GOMEMLIMIT alone", soft: 500 << 20, gomemlimit: "500MiB", want: 500 << 20, wantLimit: 500 << 20},
		{name: "both", max: 1000 << 20, soft: 500 << 20, gomemlimit: "500MiB", want: 1000 << 20, wantLimit: 500 << 20},
		{name: "GOMEMLIMIT off", soft: noLimit, gomemlimit: "off", want: 1 << 30, wantLimit: noLimit},
	} {
		debug.SetMemoryLimit(tt.soft)
		environment := map[string]string{}
		if tt.gomemlimit != "" {
			environment["GOMEMLIMIT"] = tt.gomemlimit
		}
		got := limitMemory(tt.max, envconfig.MapLookuper(environment))
		if limit := debug.SetMemoryLimit(-1); got != tt.want || limit != tt.wantLimit {
			t.Errorf("%s: %d and a soft limit of %d, want %d and %d", tt.name, got, limit, tt.want, tt.wantLimit)
		}
	}
}

func TestClientsGetHalfOfTheMemory(t *testing.T) {
	t.Parallel()
	rt := NewRuntime("gateway", Config{MemoryMax: 200 << 20}, zap.NewNop())
	if got := rt.Memory.Limit(); got != 100<<20 {
		t.Errorf("the budget has %d bytes, want 100 MiB", got)
	}
	if other := rt.For("finalizer"); other.Memory != rt.Memory {
		t.Error("two services of one process have two budgets")
	}
	if err := (&Config{AdminListen: ":0", LogLevel: "info", LogFormat: "json", Grace: 1, MemoryMax: 1}).Validate(); err == nil {
		t.Error("a memory of 1 byte is accepted")
	}
}
