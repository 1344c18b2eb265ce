//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/process/failpoint"
	"windlass.dev/windlass/services/mock"
)

// TestAnIdempotencyKeyOverACrash has a gateway die while it accepts a request.
// The client, which has no id, sends the request again with the same key. There
// is one run, whether the first request was committed or not.
func TestAnIdempotencyKeyOverACrash(t *testing.T) {
	t.Parallel()
	alone(t)
	const rounds = 4
	w := newWorld(t)
	gateway := w.services["gateway"]
	seed := int64(0)
	for _, name := range []failpoint.Name{failpoint.AcceptBeforeCommit, failpoint.AcceptAfterCommit} {
		for range rounds {
			seed++
			plan := mock.Plan{Seed: seed, Rounds: 1, Width: 2}
			c := newClient(w.api.base)
			c.key = fmt.Sprintf("crash-%d", seed)
			gateway.kill(t)
			armed := gateway.start(t, env("FAILPOINT", string(name)))
			gateway.awaitReady(t)
			var refused *refusal
			if id, err := c.submit(t.Context(), plan); err == nil || errors.As(err, &refused) {
				t.Fatalf("%s: the first try was answered %s, %v, want no answer", name, id, err)
			}
			if code := armed.awaitEnd(t, "gateway"); code != died {
				t.Fatalf("%s: the gateway ended with %d, want %d", name, code, died)
			}
			w.restart("gateway")
			ids := map[string]bool{}
			var id string
			for range 3 {
				var err error
				if id, err = c.submit(t.Context(), plan); err != nil {
					t.Fatalf("%s: the repeat: %v", name, err)
				}
				ids[id] = true
			}
			ctx, cancel := context.WithTimeout(t.Context(), deathLimit)
			ended := until(ctx, 20*time.Millisecond, func() bool {
				o, err := c.object(ctx, id)
				return err == nil && o.Status == "completed"
			})
			cancel()
			calls := map[string]int{}
			for _, e := range w.mock.Ledger() {
				if e.Seed == seed {
					calls[e.Kind]++
				}
			}
			if !ended || len(ids) != 1 || calls["model"] != 2 || calls["tool"] != 2 {
				t.Errorf("%s: the key made %v, ended %v, after the calls %v; want one completed run of 2 model and 2 tool calls", name, ids, ended, calls)
			}
		}
	}
	t.Logf("F1: %d crashes before and %d after the commit, each key made one run", rounds, rounds)
}
