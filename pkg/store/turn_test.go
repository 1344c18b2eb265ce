package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/runtest"
)

// asRead drops what only a reader's clock decides, and a payload of no step.
var asRead = cmp.Options{
	cmpopts.IgnoreFields(store.Row{}, "Remaining", "Age", "DueIn"), cmpopts.IgnoreFields(store.Step{}, "CreatedAt"), cmpopts.EquateEmpty(),
}

func TestCommitTurn(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	refused := func(i int) store.NewStep {
		n := runtest.NewSteps(i)[i-1]
		n.Output, n.Error = []byte("no such tool"), []byte(`{"code":"unknown_tool"}`)
		return n
	}
	two := runtest.NewSteps(2)
	for _, tt := range []struct {
		name        string
		steps       []store.NewStep
		outcome     store.Status
		wantStage   store.Stage
		wantTurn    int
		wantPending int
		wantNext    store.Next
		wantStates  []string // of all step rows, in order
	}{
		{"calls to run wait for their results", two, "", store.StageTools, 1, 2, store.RunTools, []string{store.StepDone, store.StepDispatched, store.StepDispatched}},
		{
			"calls that failed at once open the next turn",
			[]store.NewStep{refused(1), refused(2)},
			"", store.StageModel, 2, 0, store.RunTurn,
			[]string{store.StepDone, store.StepFailed, store.StepFailed, store.StepDispatched},
		},
		{
			"only the calls to run are counted",
			[]store.NewStep{two[0], refused(2)},
			"", store.StageTools, 1, 1, store.RunTools,
			[]string{store.StepDone, store.StepDispatched, store.StepFailed},
		},
		{
			"an outcome waits for the calls to run", two, store.Completed, store.StageTools, 1, 2, store.RunTools,
			[]string{store.StepDone, store.StepDispatched, store.StepDispatched},
		},
		{"an outcome without calls is due to settle", nil, store.Completed, store.StageSettle, 1, 0, store.RunFinal, []string{store.StepDone}},
		{
			"an outcome with calls that failed at once is due to settle",
			[]store.NewStep{refused(1)},
			store.Incomplete, store.StageSettle, 1, 0, store.RunFinal,
			[]string{store.StepDone, store.StepFailed},
		},
		{"neither outcome nor calls open the next turn", nil, "", store.StageModel, 2, 0, store.RunTurn, []string{store.StepDone, store.StepDispatched}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := runtest.Claimed(t, s)
			got := runtest.Commit(t, s, r, store.TurnCommit{Steps: tt.steps, Outcome: tt.outcome, Output: []byte("a\x00b"), InputTokens: 3, OutputTokens: 4})
			if got.Stage != tt.wantStage || got.Turn != tt.wantTurn || got.Pending != tt.wantPending || got.Next() != tt.wantNext {
				t.Errorf("after the commit: stage %s, turn %d, pending %d, next %d; want %s, %d, %d, %d",
					got.Stage, got.Turn, got.Pending, got.Next(), tt.wantStage, tt.wantTurn, tt.wantPending, tt.wantNext)
			}
			if diff := cmp.Diff(runtest.Look(t, s, r.ID), got, asRead); diff != "" {
				t.Errorf("the row read (-) and the row returned (+) differ:\n%s", diff)
			}
			states := postgres.Column(runtest.Steps(t, s, r.ID), func(st store.Step) string { return st.State })
			if diff := cmp.Diff(tt.wantStates, states); diff != "" {
				t.Errorf("states of the steps (-want +got):\n%s", diff)
			}
		})
	}
}
