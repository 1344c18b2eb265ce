package run_test

import (
	"testing"
	"time"

	"windlass.dev/windlass/pkg/run"
)

func TestRowNext(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		row  run.Row
		want run.Next
	}{
		{"queued: the claim finds it itself", run.Row{Status: run.Queued, Stage: run.StageModel}, run.Nothing},
		{"model call due", run.Row{Status: run.InProgress, Live: true, Stage: run.StageModel}, run.RunTurn},
		{"model call parked", run.Row{Status: run.InProgress, Live: true, Stage: run.StageModel, DueIn: time.Second}, run.WaitUntil},
		{"tool calls due", run.Row{Status: run.InProgress, Live: true, Stage: run.StageTools}, run.RunTools},
		{"tool calls due, whatever the row's own wait", run.Row{Status: run.InProgress, Live: true, Stage: run.StageTools, DueIn: 1}, run.RunTools},
		{"outcome decided", run.Row{Status: run.InProgress, Live: true, Stage: run.StageSettle, Outcome: run.Completed}, run.RunFinal},
		{"cancelled in the midst of tools, after-work left", run.Row{Status: run.Cancelled, Live: true, Stage: run.StageTools}, run.RunFinal},
		{"completed, after-work left", run.Row{Status: run.Completed, Live: true, Stage: run.StageSettle}, run.RunFinal},
		{"expired from the queue, after-work left", run.Row{Status: run.Expired, Live: true, Stage: run.StageModel, DueIn: 1}, run.RunFinal},
		{"completed and done with", run.Row{Status: run.Completed, Stage: run.StageSettle}, run.Nothing},
		{"cancelled and done with", run.Row{Status: run.Cancelled, Stage: run.StageTools}, run.Nothing},
	} {
		if got := tt.row.Next(); got != tt.want {
			t.Errorf("%s: Next() = %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestFenceHolds(t *testing.T) {
	t.Parallel()
	row := run.Row{ID: run.ID{2}, Status: run.InProgress, Stage: run.StageModel, Epoch: 2, Turn: 3, Attempt: 4}
	fence := row.Fence()
	if !fence.Holds(row) {
		t.Errorf("%+v does not hold its own row", fence)
	}
	for _, tt := range []struct {
		name   string
		change func(*run.Row)
	}{
		{"another request", func(r *run.Row) { r.ID = run.ID{3} }},
		{"a later epoch", func(r *run.Row) { r.Epoch++ }},
		{"a later turn", func(r *run.Row) { r.Turn++ }},
		{"a raised attempt", func(r *run.Row) { r.Attempt++ }},
		{"the model call is done", func(r *run.Row) { r.Stage = run.StageTools }},
		{"terminal", func(r *run.Row) { r.Status = run.Cancelled }},
	} {
		moved := row
		tt.change(&moved)
		if fence.Holds(moved) {
			t.Errorf("%s: the fence still holds", tt.name)
		}
	}
}

func TestStatusTerminal(t *testing.T) {
	t.Parallel()
	for status, want := range map[run.Status]bool{
		run.Queued: false, run.InProgress: false, run.Completed: true, run.Incomplete: true, run.Failed: true, run.Cancelled: true, run.Expired: true,
	} {
		if got := status.Terminal(); got != want {
			t.Errorf("%s.Terminal() = %v, want %v", status, got, want)
		}
	}
}
