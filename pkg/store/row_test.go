package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/runtest"
)

func TestRowNext(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		row  store.Row
		want store.Next
	}{
		{"queued: the claim finds it itself", store.Row{Status: store.Queued, Stage: store.StageModel}, store.Nothing},
		{"model call due", store.Row{Status: store.InProgress, Live: true, Stage: store.StageModel}, store.RunTurn},
		{"model call parked", store.Row{Status: store.InProgress, Live: true, Stage: store.StageModel, DueIn: time.Second}, store.WaitUntil},
		{"tool calls due", store.Row{Status: store.InProgress, Live: true, Stage: store.StageTools}, store.RunTools},
		{"tool calls due, whatever the row's own wait", store.Row{Status: store.InProgress, Live: true, Stage: store.StageTools, DueIn: 1}, store.RunTools},
		{"outcome decided", store.Row{Status: store.InProgress, Live: true, Stage: store.StageSettle, Outcome: store.Completed}, store.RunFinal},
		{"cancelled in the midst of tools, after-work left", store.Row{Status: store.Cancelled, Live: true, Stage: store.StageTools}, store.RunFinal},
		{"completed, after-work left", store.Row{Status: store.Completed, Live: true, Stage: store.StageSettle}, store.RunFinal},
		{"expired from the queue, after-work left", store.Row{Status: store.Expired, Live: true, Stage: store.StageModel, DueIn: 1}, store.RunFinal},
		{"completed and done with", store.Row{Status: store.Completed, Stage: store.StageSettle}, store.Nothing},
		{"cancelled and done with", store.Row{Status: store.Cancelled, Stage: store.StageTools}, store.Nothing},
	} {
		if got := tt.row.Next(); got != tt.want {
			t.Errorf("%s: Next() = %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestFenceHolds(t *testing.T) {
	t.Parallel()
	row := store.Row{ID: uuid.New(), Status: store.InProgress, Stage: store.StageModel, Epoch: 2, Turn: 3, Attempt: 4}
	fence := runtest.FenceOf(row)
	if !fence.Holds(row) {
		t.Errorf("%+v does not hold its own row", fence)
	}
	for _, tt := range []struct {
		name   string
		change func(*store.Row)
	}{
		{"another request", func(r *store.Row) { r.ID = uuid.New() }},
		{"a later epoch", func(r *store.Row) { r.Epoch++ }},
		{"a later turn", func(r *store.Row) { r.Turn++ }},
		{"a raised attempt", func(r *store.Row) { r.Attempt++ }},
		{"the model call is done", func(r *store.Row) { r.Stage = store.StageTools }},
		{"terminal", func(r *store.Row) { r.Status = store.Cancelled }},
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
	for status, want := range map[store.Status]bool{
		store.Queued: false, store.InProgress: false, store.Completed: true, store.Incomplete: true, store.Failed: true, store.Cancelled: true, store.Expired: true,
	} {
		if got := status.Terminal(); got != want {
			t.Errorf("%s.Terminal() = %v, want %v", status, got, want)
		}
	}
}
