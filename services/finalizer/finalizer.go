// Package finalizer ends requests whose outcome is decided: it assembles their
// answer (internal/answer), settles them (internal/settlement), and archives
// their live streams (internal/archive). It also does the after-work of
// requests that were cancelled or that expired.
//
// An answer is written once and never changes. Clients may learn of it late:
// the notice that a request has ended is a hint, and the poll of a waiting
// gateway covers its loss.
package finalizer

import (
	"context"

	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/services/finalizer/internal/settlement"
	"windlass.dev/windlass/services/internal/worker"
)

// Config configures a finalizer.
type Config struct {
	worker.Config
	// Slots bounds the requests that this process settles at once.
	Slots int `env:"WINDLASS_FINAL_SLOTS, default=64"`
}

// Run settles requests until ctx ends.
func Run(ctx context.Context, cfg Config) error {
	w, err := worker.Open(ctx, "finalizer", cfg.Config)
	if err != nil {
		if ctx.Err() != nil {
			return nil // drained before database and bus were available
		}
		return err
	}
	defer w.Close(ctx)
	return w.Bus.Run(ctx, consume.Config{
		Work: consume.FinalWork(), Slots: cfg.Slots, Grace: cfg.Grace, Handle: settlement.NewHandler(w).Handle,
		Away: w.Away,
	})
}
