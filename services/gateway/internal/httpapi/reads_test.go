package httpapi

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"windlass.dev/windlass/pkg/budget"
)

// Three reads of a key run at the same time, and those of another key beside
// them; a read that waits too long for its turn is refused.
func TestReadsOfAKeyTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := budget.New(100<<20, prometheus.NewRegistry())
		a := &API{memory: memory, reads: reads{keys: map[readKey]*turns{}}}
		end := make(chan struct{})
		h := a.BoundReads(func(x *Exchange, _ *http.Request) error {
			if x.Who.KeyID == "charged" {
				if err := x.ChargeRead(1000); err != nil || memory.Size() != 1000 {
					t.Errorf("a read charges %d: %v", memory.Size(), err)
				}
			}
			<-end
			return nil
		})
		var all sync.WaitGroup
		read := func(key string) <-chan error {
			answer := make(chan error, 1)
			all.Go(func() {
				x := &Exchange{Who: Principal{Tenant: "a", KeyID: key}, api: a}
				defer func() { x.Memory.Close() }()
				answer <- h(x, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
			})
			return answer
		}
		charged := read("charged")
		synctest.Wait()
		var same []<-chan error
		for range readsOfKey + 1 {
			same = append(same, read("k"))
		}
		other := read("other")
		time.Sleep(readWait + time.Second) //nolint:forbidigo // in a bubble
		synctest.Wait()
		refused := 0
		for _, answer := range same {
			select {
			case err := <-answer:
				refused++
				if f := FaultOf(err); f.Status != http.StatusTooManyRequests || f.RetryAfter == 0 {
					t.Errorf("a read without a turn is refused with %v", err)
				}
			default:
			}
		}
		if refused != 1 {
			t.Errorf("%d of %d reads were refused, want 1", refused, len(same))
		}
		close(end)
		all.Wait()
		if err := <-other; err != nil {
			t.Errorf("a read of another key: %v", err)
		}
		if err := <-charged; err != nil || memory.Size() != 0 || len(a.reads.keys) != 0 {
			t.Errorf("after all reads: %v, %d bytes, %d keys", err, memory.Size(), len(a.reads.keys))
		}
	})
}
