package stack

import (
	"testing"

	"windlass.dev/windlass/services/mock"
)

func TestMain(m *testing.M) { Main(m) }

func TestARunGoesThroughTheWholeStack(t *testing.T) {
	t.Parallel()
	s := Start(t)
	plan := mock.Plan{Seed: 1, Rounds: 2, Width: 3}
	r := s.Ask(t, plan, nil)
	if r.Status != "completed" || r.Text() != plan.Answer() {
		t.Errorf("response is %s with %q, want completed with %q", r.Status, r.Text(), plan.Answer())
	}
	if got := len(s.Steps(t, r.ID)); got != 9 {
		t.Errorf("%d steps, want 3 turns and 6 calls", got)
	}
	if got := len(s.Calls("tool", plan.Seed)); got != 6 {
		t.Errorf("%d tool calls, want 6", got)
	}
}

func TestABackgroundRunIsCancelled(t *testing.T) {
	t.Parallel()
	s := Start(t)
	plan := mock.Plan{Seed: 2, ThinkMS: 60_000}
	r := s.Background(t, plan, nil)
	s.await(t, "the model call", func() bool { return len(s.Calls("model", plan.Seed)) == 1 })
	if got := s.Cancel(t, r.ID); got.Status != "cancelled" {
		t.Errorf("cancelled response is %s", got.Status)
	}
	if got := s.Wait(t, r.ID); got.Status != "cancelled" || len(got.Output) != 0 {
		t.Errorf("response is %s with %d items, want cancelled with none", got.Status, len(got.Output))
	}
}
