// Package admission claims queued requests for the free slots of the models'
// lanes and publishes their first turns. The order of the requests (tiers, then
// fairness among tenants) is the store's (store.Claim).
//
// It claims when a gateway signals a new request, and polls besides: a lost
// signal costs at most a second. It promises that a lane never has more turns
// in flight than its slots and half as many waiting for them
// (TestClaimStopsAtTheLanesFreeSlots).
package admission

import (
	"context"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/process/failpoint"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/claimer/internal/periodic"
	"windlass.dev/windlass/services/internal/lanes"
	"windlass.dev/windlass/services/internal/worker"
)

const (
	idlePause = time.Second
	// saturatedPause is the pause while a lane has no free slot: no signal says
	// that one of its turns has ended.
	saturatedPause = 20 * time.Millisecond
)

// Admission admits the requests of all lanes.
type Admission struct {
	*worker.Worker
	lanes *lanes.Lanes
}

// New returns the admission of the registry's lanes.
func New(w *worker.Worker) *Admission {
	return &Admission{Worker: w, lanes: lanes.New(w.Bus, w.Log, w.Registry.Lanes())}
}

// Run admits requests until ctx ends.
func (a *Admission) Run(ctx context.Context) error {
	accepted := periodic.NewSignal()
	stop, err := a.Bus.OnWake(accepted.Send)
	if err != nil {
		return err
	}
	defer stop()
	periodic.Run(ctx, accepted, a.claimAll)
	return nil
}

// claimAll claims until the lanes are full or the queues are empty.
func (a *Admission) claimAll(ctx context.Context) (pause time.Duration) {
	pause = idlePause
	for {
		claimed, saturated, err := a.claim(ctx)
		if err != nil && ctx.Err() == nil {
			a.LogFailure("claim failed", err)
			return pause
		}
		if saturated {
			pause = saturatedPause
		}
		if claimed == 0 {
			return pause
		}
	}
}

// claim claims once and publishes the turns. saturated reports whether some
// lane had no free slot.
func (a *Admission) claim(ctx context.Context) (claimed int, saturated bool, err error) {
	var free []store.Slots
	for _, lane := range a.lanes.Names() {
		if n := a.lanes.Free(ctx, lane); n > 0 {
			free = append(free, store.Slots{Lane: lane, Free: n})
		}
	}
	saturated = len(free) < len(a.lanes.Names())
	if len(free) == 0 {
		return 0, saturated, nil
	}
	rows, err := a.Store.Claim(ctx, free)
	if err != nil || len(rows) == 0 {
		return 0, saturated, err
	}
	failpoint.Hit(failpoint.ClaimAfterCommit)
	for _, r := range rows {
		a.lanes.Take(r.Lane, 1)
	}
	if _, err := a.Publish.Publish(ctx, false, rows...); err != nil {
		a.Log.Info("claimed turns not published, the sweep will", zap.Error(err))
	}
	return len(rows), saturated, nil
}
