package consume

import (
	"errors"
	"fmt"
	"testing"

	"windlass.dev/windlass/pkg/bus/internal/conn"
)

func TestDecide(t *testing.T) {
	t.Parallel()
	other := errors.New("postgres is away")
	tests := []struct {
		name       string
		cause, err error
		want       decision
	}{
		{"committed", nil, nil, decision{ack, "done"}},
		{"committed although cancelled", ErrCancelled, nil, decision{ack, "done"}},
		{"stale", nil, fmt.Errorf("commit: %w", ErrStale), decision{ack, "superseded"}},
		{"stale although draining", ErrDraining, ErrStale, decision{ack, "superseded"}},
		{"poison", nil, fmt.Errorf("decode: %w", ErrPoison), decision{term, "poison"}},
		{"cancelled", ErrCancelled, other, decision{ack, "cancelled"}},
		{"failed", nil, fmt.Errorf("serve: %w", &Handled{Outcome: "failed"}), decision{ack, "failed"}},
		{"panicked", nil, &crash{value: "x"}, decision{leave, "crashed"}},
		{"panicked when cancelled", ErrCancelled, &crash{value: "x"}, decision{leave, "crashed"}},
		{"drained", ErrDraining, other, decision{nak, "handed_back"}},
		{"infrastructure failed", nil, other, decision{nak, "handed_back"}},
	}
	for _, tt := range tests {
		if got := decide(tt.cause, tt.err); got != tt.want {
			t.Errorf("%s: decide(%v, %v) = %+v, want %+v", tt.name, tt.cause, tt.err, got, tt.want)
		}
	}
}

// TestAStaleStepIsNoOutage holds that a handler's answer is not taken for an
// outage of the bus.
func TestAStaleStepIsNoOutage(t *testing.T) {
	t.Parallel()
	if conn.Unavailable(ErrStale) {
		t.Error("Unavailable(a later attempt owns) = true, want false")
	}
}
