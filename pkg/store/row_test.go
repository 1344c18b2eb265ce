package store

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestRowNext(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		row  Row
		want Next
	}{
		{"queued: the claim finds it itself", Row{Status: Queued, Stage: StageModel}, Nothing},
		{"model call due", Row{Status: InProgress, Live: true, Stage: StageModel}, RunTurn},
		{"model call parked", Row{Status: InProgress, Live: true, Stage: StageModel, DueIn: time.Second}, WaitUntil},
		{"tool calls due", Row{Status: InProgress, Live: true, Stage: StageTools}, RunTools},
		{"tool calls due, whatever the row's own wait", Row{Status: InProgress, Live: true, Stage: StageTools, DueIn: 1}, RunTools},
		{"outcome decided", Row{Status: InProgress, Live: true, Stage: StageSettle, Outcome: Completed}, RunFinal},
		{"cancelled in the midst of tools, after-work left", Row{Status: Cancelled, Live: true, Stage: StageTools}, RunFinal},
		{"completed, after-work left", Row{Status: Completed, Live: true, Stage: StageSettle}, RunFinal},
		{"expired from the queue, after-work left", Row{Status: Expired, Live: true, Stage: StageModel, DueIn: 1}, RunFinal},
		{"completed and done with", Row{Status: Completed, Stage: StageSettle}, Nothing},
		{"cancelled and done with", Row{Status: Cancelled, Stage: StageTools}, Nothing},
	} {
		if got := tt.row.Next(); got != tt.want {
			t.Errorf("%s: Next() = %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestFenceHolds(t *testing.T) {
	t.Parallel()
	row := Row{ID: uuid.New(), Status: InProgress, Stage: StageModel, Epoch: 2, Turn: 3, Attempt: 4}
	fence := fenceOf(row)
	if !fence.Holds(row) {
		t.Errorf("%+v does not hold its own row", fence)
	}
	for _, tt := range []struct {
		name   string
		change func(*Row)
	}{
		{"another request", func(r *Row) { r.ID = uuid.New() }},
		{"a later epoch", func(r *Row) { r.Epoch++ }},
		{"a later turn", func(r *Row) { r.Turn++ }},
		{"a raised attempt", func(r *Row) { r.Attempt++ }},
		{"the model call is done", func(r *Row) { r.Stage = StageTools }},
		{"terminal", func(r *Row) { r.Status = Cancelled }},
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
	for status, want := range map[Status]bool{
		Queued: false, InProgress: false, Completed: true, Incomplete: true, Failed: true, Cancelled: true, Expired: true,
	} {
		if got := status.Terminal(); got != want {
			t.Errorf("%s.Terminal() = %v, want %v", status, got, want)
		}
	}
}
