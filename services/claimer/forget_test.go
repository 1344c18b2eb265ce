package claimer

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/storetest"
)

func TestOldIdempotencyKeysAreForgotten(t *testing.T) {
	t.Parallel()
	url := storetest.Database(t, migrate)
	c := newClaimerAt(t, url)
	count := func() (n int) {
		t.Helper()
		storetest.Query(t, url, `SELECT count(*) FROM idempotency`, nil, &n)
		return n
	}
	for i := range 10 {
		n := store.NewRequest{
			ID: uuid.Must(uuid.NewV7()), Tenant: "default", Endpoint: "responses", Model: "m", Lane: "m", Body: []byte("{}"), Timeout: time.Hour,
			Once: store.Once{Key: fmt.Sprint(i), Hash: make([]byte, 32)},
		}
		if _, err := c.Store.Accept(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	c.forget(t.Context(), 3)
	if got := count(); got != 10 {
		t.Errorf("%d keys are left of 10 that are new", got)
	}
	var old int
	storetest.Query(t, url, `WITH o AS (UPDATE idempotency SET expires_at = now() WHERE key <> '0' RETURNING 1) SELECT count(*) FROM o`, nil, &old)
	c.forget(t.Context(), 3)
	if got := count(); old != 9 || got != 1 {
		t.Errorf("%d keys are left of 10, %d of them old; want 1", got, old)
	}
}
