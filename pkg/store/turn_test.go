package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/runtest"
)

// asRead drops what only a reader's clock decides, and a payload of no step.
var asRead = cmp.Options{
	cmpopts.IgnoreFields(run.Row{}, "Remaining", "Age", "DueIn"), cmpopts.IgnoreFields(run.Step{}, "CreatedAt", "Age"), cmpopts.EquateEmpty(),
}

func TestCommitTurn(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	refused := func(i int) run.NewStep {
		n := runtest.NewSteps(i)[i-1]
		n.Output, n.Error = []byte("no such tool"), []byte(`{"code":"unknown_tool"}`)
		return n
	}
	two := runtest.NewSteps(2)
	for _, tt := range []struct {
		name        string
		steps       []run.NewStep
		outcome     run.Status
		wantStage   run.Stage
		wantTurn    int
		wantPending int
		wantNext    run.Next
		wantStates  []run.StepState // of all step rows, in order
	}{
		{"calls to run wait for their results", two, "", run.StageTools, 1, 2, run.RunTools, []run.StepState{run.StepDone, run.StepDispatched, run.StepDispatched}},
		{
			"calls that failed at once open the next turn",
			[]run.NewStep{refused(1), refused(2)},
			"", run.StageModel, 2, 0, run.RunTurn,
			[]run.StepState{run.StepDone, run.StepFailed, run.StepFailed, run.StepDispatched},
		},
		{
			"only the calls to run are counted",
			[]run.NewStep{two[0], refused(2)},
			"", run.StageTools, 1, 1, run.RunTools,
			[]run.StepState{run.StepDone, run.StepDispatched, run.StepFailed},
		},
		{
			"an outcome waits for the calls to run", two, run.Completed, run.StageTools, 1, 2, run.RunTools,
			[]run.StepState{run.StepDone, run.StepDispatched, run.StepDispatched},
		},
		{"an outcome without calls is due to settle", nil, run.Completed, run.StageSettle, 1, 0, run.RunFinal, []run.StepState{run.StepDone}},
		{
			"an outcome with calls that failed at once is due to settle",
			[]run.NewStep{refused(1)},
			run.Incomplete, run.StageSettle, 1, 0, run.RunFinal,
			[]run.StepState{run.StepDone, run.StepFailed},
		},
		{"neither outcome nor calls open the next turn", nil, "", run.StageModel, 2, 0, run.RunTurn, []run.StepState{run.StepDone, run.StepDispatched}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := runtest.Claimed(t, s)
			got := runtest.Commit(t, s, r, run.TurnCommit{Steps: tt.steps, Outcome: tt.outcome, Output: []byte("a\x00b"), InputTokens: 3, OutputTokens: 4})
			if got.Stage != tt.wantStage || got.Turn != tt.wantTurn || got.Pending != tt.wantPending || got.Next() != tt.wantNext {
				t.Errorf("after the commit: stage %s, turn %d, pending %d, next %d; want %s, %d, %d, %d",
					got.Stage, got.Turn, got.Pending, got.Next(), tt.wantStage, tt.wantTurn, tt.wantPending, tt.wantNext)
			}
			if diff := cmp.Diff(runtest.Look(t, s, r.ID), got, asRead); diff != "" {
				t.Errorf("the row read (-) and the row returned (+) differ:\n%s", diff)
			}
			states := postgres.Column(runtest.Steps(t, s, r.ID), func(st run.Step) run.StepState { return st.State })
			if diff := cmp.Diff(tt.wantStates, states); diff != "" {
				t.Errorf("states of the steps (-want +got):\n%s", diff)
			}
		})
	}
}
