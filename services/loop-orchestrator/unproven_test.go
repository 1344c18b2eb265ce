package looporchestrator

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/run"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

// wantUnproven checks how many messages of a kind were dropped.
func (s *stand) wantUnproven(t *testing.T, kind string, want string) {
	t.Helper()
	text := `
# HELP windlass_unproven_messages_total Messages that were dropped because they do not prove the call that they name.
# TYPE windlass_unproven_messages_total counter
windlass_unproven_messages_total{kind="` + kind + `"} ` + want + "\n"
	if err := testutil.GatherAndCompare(s.metrics, strings.NewReader(text), "windlass_unproven_messages_total"); err != nil {
		t.Error(err)
	}
}

// TestF41UnprovenResultsAreDropped holds that results without a valid token are
// counted, not committed and not published again, and that they do not keep the
// others of their batch.
func TestF41UnprovenResultsAreDropped(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	row := s.inTools(t, "plain")
	q := s.question(row)
	batch := []consume.Delivery{{Event: resultOf(q), Delivered: 1}}
	for _, forge := range []func(*stepv1.StepEvent){
		func(e *stepv1.StepEvent) { e.GetToolCompleted().DispatchToken = nil },
		func(e *stepv1.StepEvent) { e.GetToolCompleted().DispatchToken = []byte("forged") },
		func(e *stepv1.StepEvent) { e.Identity.Attempt = 2 },
		func(e *stepv1.StepEvent) { e.Identity.Index = 2; e.CallId = "call_2" },
	} {
		e := resultOf(q)
		forge(e)
		s.publishEvent(t, e)
		batch = append([]consume.Delivery{{Event: e, Delivered: 1}}, batch...)
	}
	before := s.stored(t)
	for _, err := range s.results.Handle(t.Context(), batch) {
		if handled := (*consume.Handled)(nil); !errors.As(err, &handled) {
			t.Errorf("Handle = %v, want each message done with", err)
		}
	}
	s.wantUnproven(t, "result", "4")
	if diff := cmp.Diff(before, s.stored(t)); diff != "" {
		t.Errorf("the streams changed (-before +after):\n%s", diff)
	}
	if got := s.look(t, row.ID); got.Stage != run.StageTools || len(got.Steps) != 1 || got.Steps[0].Index != 2 {
		t.Errorf("the row is %+v, want the proven result committed and no other", got)
	}
}

// stored counts the messages of the streams.
func (s *stand) stored(t *testing.T) map[string]uint64 {
	t.Helper()
	js := s.jetStream(t)
	found := map[string]uint64{}
	list := js.ListStreams(t.Context())
	for info := range list.Info() {
		found[info.Config.Name] = info.State.LastSeq
	}
	if err := list.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}
