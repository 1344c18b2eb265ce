// Package claimer admits requests and watches over those in progress: it claims
// queued rows within the lanes' free slots (internal/admission), publishes
// again what was lost (internal/sweep), expires requests at their deadline
// (internal/expiry) and deletes old ones (internal/retention).
//
// Any number of claimers may run. Each does all of this, and what two of them
// do twice has no effect.
package claimer

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"windlass.dev/windlass/services/claimer/internal/admission"
	"windlass.dev/windlass/services/claimer/internal/expiry"
	"windlass.dev/windlass/services/claimer/internal/retention"
	"windlass.dev/windlass/services/claimer/internal/sweep"
	"windlass.dev/windlass/services/internal/worker"
)

// Config configures a claimer.
type Config struct {
	worker.Config
	Retention Retention
}

// Retention is how long ended requests are kept.
type Retention = retention.Periods

// Validate reports all faults.
func (c *Config) Validate() error { return errors.Join(c.Config.Validate(), c.Retention.Validate()) }

// Run works until ctx ends.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("check the configuration: %w", err)
	}
	w, err := worker.Open(ctx, "claimer", cfg.Config)
	if err != nil {
		if ctx.Err() != nil {
			return nil // drained before database and bus were available
		}
		return err
	}
	defer w.Close(ctx)
	jobs, ctx := errgroup.WithContext(ctx)
	jobs.Go(func() error { return admission.New(w).Run(ctx) })
	jobs.Go(func() error { return sweep.New(w).Run(ctx) })
	jobs.Go(func() error { expiry.Run(ctx, w); return nil })
	jobs.Go(func() error { retention.Run(ctx, w, cfg.Retention); return nil })
	return jobs.Wait()
}
