package bus

import (
	"errors"
	"fmt"
	"testing"
)

func TestDecide(t *testing.T) {
	t.Parallel()
	other := errors.New("postgres is away")
	tests := []struct {
		name       string
		cause, err error
		want       Decision
	}{
		{"committed", nil, nil, Decision{Ack, "done"}},
		{"committed although cancelled", ErrCancelled, nil, Decision{Ack, "done"}},
		{"stale", nil, fmt.Errorf("commit: %w", ErrStale), Decision{Ack, "superseded"}},
		{"stale although draining", ErrDraining, ErrStale, Decision{Ack, "superseded"}},
		{"poison", nil, fmt.Errorf("decode: %w", ErrPoison), Decision{Term, "poison"}},
		{"cancelled", ErrCancelled, other, Decision{Ack, "cancelled"}},
		{"failed", nil, fmt.Errorf("serve: %w", &Handled{Outcome: "failed"}), Decision{Ack, "failed"}},
		{"panicked", nil, &crash{value: "x"}, Decision{Leave, "crashed"}},
		{"panicked when cancelled", ErrCancelled, &crash{value: "x"}, Decision{Leave, "crashed"}},
		{"drained", ErrDraining, other, Decision{Nak, "handed_back"}},
		{"infrastructure failed", nil, other, Decision{Nak, "handed_back"}},
	}
	for _, tt := range tests {
		if got := decide(tt.cause, tt.err); got != tt.want {
			t.Errorf("%s: decide(%v, %v) = %+v, want %+v", tt.name, tt.cause, tt.err, got, tt.want)
		}
	}
}
