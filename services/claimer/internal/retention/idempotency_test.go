package retention

import (
	"fmt"
	"testing"

	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/idempotency"
	"windlass.dev/windlass/pkg/store/storetest"
	"windlass.dev/windlass/services/claimer/internal/claimertest"
)

func TestExpiredIdempotencyKeysArePurged(t *testing.T) {
	t.Parallel()
	url := claimertest.Database(t)
	w := claimertest.Worker(t, url)
	count := func() (n int) {
		t.Helper()
		storetest.Query(t, url, `SELECT count(*) FROM idempotency`, nil, &n)
		return n
	}
	for i := range 10 {
		claimertest.Accept(t, w, func(n *store.NewRequest) { n.Once = idempotency.Key{Key: fmt.Sprint(i), Hash: make([]byte, 32)} })
	}
	purgeKeys(t.Context(), w, 3)
	if got := count(); got != 10 {
		t.Errorf("%d keys are left of 10 that are new", got)
	}
	var old int
	storetest.Query(t, url, `WITH o AS (UPDATE idempotency SET expires_at = now() WHERE key <> '0' RETURNING 1) SELECT count(*) FROM o`, nil, &old)
	purgeKeys(t.Context(), w, 3)
	if got := count(); old != 9 || got != 1 {
		t.Errorf("%d keys are left of 10, %d of them old; want 1", got, old)
	}
}
