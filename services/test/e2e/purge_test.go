//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/store/storetest"
	"windlass.dev/windlass/services/mock"
)

// leftSQL counts the requests, those that have their payloads, and rows without
// a request.
const leftSQL = `
SELECT (SELECT count(*) FROM requests), (SELECT count(*) FROM requests r WHERE EXISTS (SELECT FROM bodies WHERE request_id = r.id)),
       (SELECT count(*) FROM (SELECT request_id FROM steps UNION ALL SELECT request_id FROM bodies UNION ALL SELECT request_id FROM labels) x
         WHERE NOT EXISTS (SELECT FROM requests r WHERE r.id = x.request_id))`

// TestAPurgeOverCrashes kills claimers all the time while requests become old.
// In the end all requests are gone, each as a whole; a request that is not
// stored loses its payloads first and keeps its row.
func TestAPurgeOverCrashes(t *testing.T) {
	t.Parallel()
	alone(t)
	const runs = 300
	w := newWorld(t, env("WINDLASS_RETENTION", "25s"), env("WINDLASS_RETENTION_UNSTORED", "10s"))
	unstored, err := json.Marshal(map[string]any{"model": model, "store": false, "input": mock.Plan{Seed: 1}.Prompt()})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for i := range runs {
		if _, err := w.api.submit(t.Context(), mock.Plan{Seed: int64(i + 1), Rounds: 1, Width: 2}); err != nil {
			t.Fatal(err)
		}
		if i%3 > 0 {
			continue
		}
		var o Object
		if err := w.api.do(t.Context(), http.MethodPost, "/v1/responses", unstored, &o); err != nil || o.Status != "completed" {
			t.Fatalf("a request that is not stored ended as %+v, %v", o, err)
		}
	}
	t.Logf("%d requests submitted in %s", runs+runs/3, time.Since(began).Round(time.Millisecond))
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	kills, erasedFirst := 0, false
	gone := until(ctx, 700*time.Millisecond, func() bool { // a claimer starts with a purge
		w.services["claimer"].kill(t)
		w.services["claimer"].start(t)
		kills++
		var requests, payloads, orphans int
		storetest.Query(t, w.url, leftSQL, nil, &requests, &payloads, &orphans)
		if orphans > 0 {
			t.Errorf("%d rows of requests that are gone, after %d kills", orphans, kills)
		}
		erasedFirst = erasedFirst || requests == runs+runs/3 && payloads == runs
		return requests == 0
	})
	if !gone || !erasedFirst {
		t.Errorf("all gone: %v; payloads of unstored requests first: %v; after %d kills", gone, erasedFirst, kills)
	}
	t.Logf("all gone after %d kills", kills)
}
