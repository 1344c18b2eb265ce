package store

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"windlass.dev/windlass/pkg/store/postgres"
)

// asRead drops what only a reader's clock decides, and a payload of no step.
var asRead = cmp.Options{
	cmpopts.IgnoreFields(Row{}, "Remaining", "Age", "DueIn"), cmpopts.IgnoreFields(Step{}, "CreatedAt"), cmpopts.EquateEmpty(),
}

func TestCommitTurn(t *testing.T) {
	t.Parallel()
	s := open(t)
	refused := func(i int) NewStep {
		n := newSteps(i)[i-1]
		n.Output, n.Error = []byte("no such tool"), []byte(`{"code":"unknown_tool"}`)
		return n
	}
	two := newSteps(2)
	for _, tt := range []struct {
		name        string
		steps       []NewStep
		outcome     Status
		wantStage   Stage
		wantTurn    int
		wantPending int
		wantNext    Next
		wantStates  []StepState // of all step rows, in order
	}{
		{"calls to run wait for their results", two, "", StageTools, 1, 2, RunTools, []StepState{StepDone, StepDispatched, StepDispatched}},
		{
			"calls that failed at once open the next turn",
			[]NewStep{refused(1), refused(2)},
			"", StageModel, 2, 0, RunTurn,
			[]StepState{StepDone, StepFailed, StepFailed, StepDispatched},
		},
		{
			"only the calls to run are counted",
			[]NewStep{two[0], refused(2)},
			"", StageTools, 1, 1, RunTools,
			[]StepState{StepDone, StepDispatched, StepFailed},
		},
		{
			"an outcome waits for the calls to run", two, Completed, StageTools, 1, 2, RunTools,
			[]StepState{StepDone, StepDispatched, StepDispatched},
		},
		{"an outcome without calls is due to settle", nil, Completed, StageSettle, 1, 0, RunFinal, []StepState{StepDone}},
		{
			"an outcome with calls that failed at once is due to settle",
			[]NewStep{refused(1)},
			Incomplete, StageSettle, 1, 0, RunFinal,
			[]StepState{StepDone, StepFailed},
		},
		{"neither outcome nor calls open the next turn", nil, "", StageModel, 2, 0, RunTurn, []StepState{StepDone, StepDispatched}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := claimed(t, s)
			got := commit(t, s, r, TurnCommit{Steps: tt.steps, Outcome: tt.outcome, Output: []byte("a\x00b"), InputTokens: 3, OutputTokens: 4})
			if got.Stage != tt.wantStage || got.Turn != tt.wantTurn || got.Pending != tt.wantPending || got.Next() != tt.wantNext {
				t.Errorf("after the commit: stage %s, turn %d, pending %d, next %d; want %s, %d, %d, %d",
					got.Stage, got.Turn, got.Pending, got.Next(), tt.wantStage, tt.wantTurn, tt.wantPending, tt.wantNext)
			}
			if diff := cmp.Diff(look(t, s, r.ID), got, asRead); diff != "" {
				t.Errorf("the row read (-) and the row returned (+) differ:\n%s", diff)
			}
			states := postgres.Column(steps(t, s, r.ID), func(st Step) StepState { return st.State })
			if diff := cmp.Diff(tt.wantStates, states); diff != "" {
				t.Errorf("states of the steps (-want +got):\n%s", diff)
			}
		})
	}
}
