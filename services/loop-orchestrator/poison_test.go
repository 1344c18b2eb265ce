package looporchestrator

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/postgres"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/isolate"
	"windlass.dev/windlass/services/loop-orchestrator/internal/turn"
)

// wantDead checks that a request is decided as poison and has a dead letter.
func (s *stand) wantDead(t *testing.T, id uuid.UUID) run.Row {
	t.Helper()
	row := s.look(t, id)
	if row.Stage != run.StageSettle || row.Outcome != run.Failed || row.Reason != "poison" {
		t.Errorf("the row is %+v, want it failed as poison", row)
	}
	js := s.jetStream(t)
	dead, err := js.Stream(t.Context(), "WINDLASS_DEAD")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dead.GetLastMsgForSubject(t.Context(), "windlass.dead."+run.Hex(id)); err != nil {
		t.Errorf("dead letter: %v", err)
	}
	return row
}

// wantAttempts checks what the audit trail shows of the first turn.
func (s *stand) wantAttempts(t *testing.T, id uuid.UUID, want int) {
	t.Helper()
	steps, err := s.Store.Steps(t.Context(), "default", id)
	if err != nil {
		t.Fatal(err)
	}
	if steps[0].Attempt != want {
		t.Errorf("the trail shows %d attempts, want %d", steps[0].Attempt, want)
	}
}

// TestATurnThatKillsItsTakersIsQuarantined is about a program that has no
// isolated processes.
func TestATurnThatKillsItsTakersIsQuarantined(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	row := s.claimed(t)
	for range turn.MaxCrashes {
		if err := s.deliver(t.Context(), row, 2, false); err != nil {
			t.Fatal(err)
		}
		row = s.look(t, row.ID)
	}
	s.wantDead(t, row.ID)
	if s.calls.Load() != 0 {
		t.Errorf("the model was called %d times, want never", s.calls.Load())
	}
}

// TestInnocentTurnsSurviveTheDeathsOfTheirWorkers holds that the deaths of
// workers, however many, make a suspect of a turn and no more, and that a
// suspect is done by a process of its own.
func TestInnocentTurnsSurviveTheDeathsOfTheirWorkers(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	isolated := 0
	s.turns.Isolate = func(ctx context.Context, c *stepv1.TurnCommand) error {
		isolated++
		own := *s.turns
		own.Isolate = nil
		return own.Handle(ctx, consume.Delivery{Turn: c, Delivered: 1})
	}
	row := s.claimed(t)
	const deaths = 12
	for n := range deaths {
		if err := s.deliver(t.Context(), row, 2, false); err != nil {
			t.Fatal(err)
		}
		row = s.look(t, row.ID)
		if row.Status != run.InProgress || row.Stage != run.StageModel || row.Crashes != min(n+1, run.SuspectCrashes) {
			t.Fatalf("after %d deaths the row is %+v", n+1, row)
		}
	}
	s.unpark(t, row.ID)
	if err := s.deliver(t.Context(), row, 1, false); err != nil {
		t.Fatal(err)
	}
	if got := s.look(t, row.ID); got.Outcome != run.Completed || isolated != 1 || s.calls.Load() != 1 {
		t.Errorf("the row is %+v after %d isolated turns and %d calls, want it completed by one", got, isolated, s.calls.Load())
	}
	s.wantAttempts(t, row.ID, deaths+1)
}

// unpark ends the wait of a row.
func (s *stand) unpark(t *testing.T, id uuid.UUID) {
	t.Helper()
	_, err := s.DB.Exec(t.Context(), `UPDATE requests SET not_before = NULL, check_at = now() WHERE id = @id`, postgres.Args{"id": id})
	if err != nil {
		t.Fatal(err)
	}
}

func TestATurnThatEndsItsProcessIsQuarantined(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.turns.Isolate = func(context.Context, *stepv1.TurnCommand) error { return &isolate.Crash{Status: "exit status 137"} }
	row := s.claimed(t)
	for range run.SuspectCrashes {
		if err := s.deliver(t.Context(), row, 2, false); err != nil {
			t.Fatal(err)
		}
		row = s.look(t, row.ID)
	}
	for n := range turn.MaxCrashes {
		if row = s.look(t, row.ID); row.Outcome != "" || row.ProvenCrashes() != n {
			t.Fatalf("after %d crashes the row is %+v", n, row)
		}
		s.unpark(t, row.ID)
		if err := s.deliver(t.Context(), row, 1, false); err != nil {
			t.Fatal(err)
		}
	}
	s.wantDead(t, row.ID)
	s.wantAttempts(t, row.ID, run.SuspectCrashes+turn.MaxCrashes)
}

func TestATurnThatPanicsIsQuarantined(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	calls := 0
	s.turns.Call = func(context.Context, run.Chain) (run.TurnCommit, error) { calls++; panic("a bug") }
	row := s.claimed(t)
	for range turn.MaxCrashes {
		if err := s.deliver(t.Context(), s.look(t, row.ID), 1, false); err != nil {
			t.Fatal(err)
		}
		s.unpark(t, row.ID)
	}
	s.wantDead(t, row.ID)
	s.wantAttempts(t, row.ID, calls)
}
