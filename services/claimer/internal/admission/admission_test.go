package admission

import (
	"testing"

	"go.uber.org/goleak"

	"windlass.dev/windlass/pkg/store/storetest"
	"windlass.dev/windlass/services/claimer/internal/claimertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(storetest.Suite{M: m}) }

func TestClaimStopsAtTheLanesFreeSlots(t *testing.T) {
	t.Parallel()
	a := New(claimertest.Worker(t, claimertest.Database(t)))
	for range 10 {
		claimertest.Accept(t, a.Worker)
	}
	if n, _, err := a.claim(t.Context()); err != nil || n != 6 { // 4 slots and half as many to wait for them
		t.Errorf("claim = %d, %v, want 6", n, err)
	}
	claimertest.WaitForTurns(t, a.Worker, 6)
	if n, saturated, err := a.claim(t.Context()); err != nil || n != 0 || !saturated {
		t.Errorf("a second claim = %d, saturated %v, %v, want none of a full lane", n, saturated, err)
	}
}
