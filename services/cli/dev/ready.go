package dev

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/retry"
	"windlass.dev/windlass/services/cli/internal/address"
)

// serviceNames are the services whose health checks dev waits for.
var serviceNames = []string{"gateway", "claimer", "loop-orchestrator", "finalizer", "tool-runner"}

// greet waits until every service is ready and the registry is checked, and
// prints how to use it.
func (d *dev) greet(ctx context.Context, checked <-chan struct{}) error {
	for !d.isReady(ctx) {
		if !retry.Sleep(ctx, 20*time.Millisecond) {
			return nil
		}
	}
	select {
	case <-ctx.Done():
		return nil
	case <-checked:
	}
	if _, err := fmt.Fprint(os.Stdout, d.greeting()); err != nil {
		return fmt.Errorf("print that dev is ready: %w", err)
	}
	d.logRecovery(ctx)
	return nil
}

// logRecovery logs when Postgres and NATS answer again. The services log that
// they do not.
func (d *dev) logRecovery(ctx context.Context) {
	var since time.Time // of the outage
	for retry.Sleep(ctx, time.Second) {
		switch ready := d.rt.Health.Ready(ctx) == nil; {
		case ready && !since.IsZero():
			d.rt.Log.Info("ready again", zap.Duration("took", time.Since(since)))
			since = time.Time{}
		case !ready && since.IsZero():
			since = time.Now()
		}
	}
}

// isReady calls the API like a client, for something that is in the database. A
// service registers its checks when it is connected, so a missing check counts
// as a failed one.
func (d *dev) isReady(ctx context.Context) bool {
	checks := d.rt.Health.Names()
	for _, service := range serviceNames {
		if !slices.ContainsFunc(checks, func(name string) bool { return strings.HasPrefix(name, service+".") }) {
			return false
		}
	}
	base, _ := address.ToDial(d.api.Addr().String())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+base+"/v1/responses?limit=1", nil)
	if err != nil {
		return false
	}
	req.Header.Set("Authorization", "Bearer "+d.APIKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK && d.rt.Health.Ready(ctx) == nil
}
