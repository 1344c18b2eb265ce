package sweep

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/run"
)

// TestAFullQueueIsNotALoss holds that rows whose commands a full queue refuses
// stay due, that the sweep reaches the rows behind many of them, and that they
// raise no alarm when they are published later.
func TestAFullQueueIsNotALoss(t *testing.T) {
	t.Parallel()
	s := newSweep(t, func(cfg *bus.Config) { cfg.MaxBytes.Turn = 2 << 10 })
	var rows []run.Row
	for range 20 {
		rows = append(rows, run.Row{
			ID: uuid.Must(uuid.NewV7()), Tenant: "default", Lane: "m", Model: "m", Status: run.InProgress, Stage: run.StageModel,
			Live: true, Epoch: 1, Turn: 1, Attempt: 1,
		})
	}
	err := s.publishOverdue(t.Context(), rows)
	if !errors.Is(err, bus.ErrFull) {
		t.Fatalf("publishOverdue into a full queue = %v, want ErrFull", err)
	}
	if !s.waitForRoom(err, len(rows)) || s.waitForRoom(err, batch) {
		t.Error("want few rows to stay due and a full sweep to be postponed")
	}
	if s.waitForRoom(errors.New("postgres is away"), 1) || s.waitForRoom(nil, 1) {
		t.Error("want only a full stream to keep rows due")
	}
	select {
	case <-s.alarm:
		t.Error("commands that a full queue refused raised an alarm")
	default:
	}
}
