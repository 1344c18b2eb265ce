package looporchestrator

import (
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/loop-orchestrator/internal/upstream/compat"
)

// A refusal of a form costs a second call, and neither an attempt nor a failure
// of the turn. It is counted and logged once.
func TestARefusedFormIsSentAgainAndCounted(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	core, logs := observer.New(zap.InfoLevel)
	reported := newAdjustments(prometheus.NewRegistry(), zap.New(core))
	s.caller.Upstream.Memory, s.caller.Upstream.OnLearn = &compat.Memory{}, reported.report
	good := s.answer
	refuse := false
	s.see = func(body []byte) { refuse = strings.Contains(string(body), `"user":`) }
	s.answer = func(w http.ResponseWriter, r *http.Request) {
		if refuse {
			http.Error(w, `{"error":{"message":"Unrecognized request argument supplied: user"}}`, http.StatusBadRequest)
			return
		}
		good(w, r)
	}
	for n, calls := range []int32{2, 3} {
		row := s.claimed(t, func(r *store.NewRequest) { r.Body = []byte(`{"model":"m","input":"hello","user":"secret-user"}`) })
		if err := s.deliver(t.Context(), row, 1, false); err != nil {
			t.Fatal(err)
		}
		got := s.look(t, row.ID)
		if got.Outcome != run.Completed || got.Attempt != 1 || got.Failures != 0 || s.calls.Load() != calls {
			t.Errorf("request %d: %+v after %d calls, want it completed at attempt 1 after %d", n, got, s.calls.Load(), calls)
		}
	}
	if n := testutil.ToFloat64(reported.counter.WithLabelValues("omit")); n != 1 {
		t.Errorf("%v changes were counted, want 1", n)
	}
	lines := logs.FilterMessage("requests changed after a refusal").All()
	if len(lines) != 1 || lines[0].ContextMap()["outcome"] != "omit user" || lines[0].ContextMap()["model"] != "m" {
		t.Errorf("the log has %v", lines)
	}
}
