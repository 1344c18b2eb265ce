package sweep

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/storetest"
	"windlass.dev/windlass/services/claimer/internal/claimertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(storetest.Suite{M: m}) }

// newSweep returns a sweep that does not run.
func newSweep(t *testing.T, change ...func(*bus.Config)) *Sweep {
	t.Helper()
	return New(claimertest.Worker(t, claimertest.Database(t), change...))
}

func TestACommandThatIsNeverDeliveredIsReplaced(t *testing.T) {
	t.Parallel()
	s := newSweep(t)
	row := claimertest.Claim(t, s.Worker)
	row.Age = time.Minute + stuckTurn
	if moving := s.replaceStuck(t.Context(), []run.Row{row}); len(moving) != 1 {
		t.Fatal("a row at its limit was taken for a stuck one")
	}
	row.Age++
	if moving := s.replaceStuck(t.Context(), []run.Row{row}); len(moving) != 0 {
		t.Errorf("a stuck row is among the moving ones: %+v", moving)
	}
	claimertest.WaitForTurns(t, s.Worker, 0)
	now, err := s.Store.Look(t.Context(), row.ID)
	if err != nil || now.Attempt != row.Attempt+1 || now.Crashes != 0 {
		t.Errorf("the row is %+v, %v, want one attempt more and no crash counted", now, err)
	}
	if err := s.publishOverdue(t.Context(), []run.Row{now}); err != nil {
		t.Fatal(err)
	}
	claimertest.WaitForTurns(t, s.Worker, 1)
}

func TestALostTurnAlarmsAndALostToolCallDoesNot(t *testing.T) {
	t.Parallel()
	s := newSweep(t)
	row := claimertest.Claim(t, s.Worker)
	publish := func(r run.Row) (alarmed bool) {
		t.Helper()
		if err := s.publishOverdue(t.Context(), []run.Row{r}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-s.alarm:
			return true
		default:
			return false
		}
	}
	if publish(row) {
		t.Error("a turn that is still queued was taken for a lost one")
	}
	tools := row
	tools.Stage, tools.Steps = run.StageTools, []run.Step{{Index: 1, Name: "t", Pool: "default", CallID: "c", Attempt: 1}}
	if publish(tools) {
		t.Error("a tool call that was accepted again raised the alarm")
	}
	if err := s.Bus.Purge(t.Context(), run.Hex(row.ID)); err != nil {
		t.Fatal(err)
	}
	if !publish(row) {
		t.Error("a turn that was purged raised no alarm")
	}
}

func TestStuckAfterDependsOnWhatIsDue(t *testing.T) {
	t.Parallel()
	s := newSweep(t)
	row := run.Row{Status: run.InProgress, Live: true, Model: "m"}
	for name, tt := range map[string]struct {
		change func(*run.Row)
		want   time.Duration
	}{
		"a turn has its model's timeout":       {func(r *run.Row) { r.Stage = run.StageModel }, time.Minute + stuckTurn},
		"a turn of a model that is gone":       {func(r *run.Row) { r.Stage, r.Model = run.StageModel, "x" }, stuckTurn},
		"tools have the longest tool's":        {func(r *run.Row) { r.Stage, r.Steps = run.StageTools, []run.Step{{Name: "t"}, {Name: "x"}} }, time.Minute + stuckTool},
		"a parked turn waits as long as it is": {func(r *run.Row) { r.Stage, r.DueIn = run.StageModel, time.Second }, 1<<63 - 1},
		"a final is only repeated":             {func(r *run.Row) { r.Stage = run.StageSettle }, 1<<63 - 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := row
			tt.change(&r)
			if got := s.stuckAfter(r); got != tt.want {
				t.Errorf("stuckAfter = %s, want %s", got, tt.want)
			}
		})
	}
}
