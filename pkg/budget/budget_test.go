package budget

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func newBudget(limit int64) *Budget { return New(limit, prometheus.NewRegistry()) }

// take grows a lease by one byte until it is refused, and returns what it holds
// and why it got no more.
func take(l *Lease) (int64, error) {
	for {
		if err := l.Grow(1); err != nil {
			return l.Size(), err
		}
	}
}

func TestSharesLeaveRoomForOthers(t *testing.T) {
	t.Parallel()
	b := newBudget(1200)
	first := b.Open(Body, "a", "1")
	defer first.Close()
	if got, err := take(first); got != 400 || !errors.Is(err, ErrShare) {
		t.Errorf("one key got %d of 1200 bytes: %v; want a third and ErrShare", got, err)
	}
	if got := b.KeyShare(); got != 400 {
		t.Errorf("KeyShare = %d, want 400", got)
	}
	second := b.Open(Socket, "a", "2")
	defer second.Close()
	if got, err := take(second); got != 200 || !errors.Is(err, ErrShare) {
		t.Errorf("the second key of the tenant got %d: %v; want 200, half of the budget together, and ErrShare", got, err)
	}
	other := b.Open(Body, "b", "1")
	defer other.Close()
	if got, _ := take(other); got != 200 {
		t.Errorf("another tenant got %d beside the greedy one, want 200", got)
	}
	first.Close()
	if got, _ := take(other); got <= 200 {
		t.Errorf("the other tenant got no more after a release: %d", got)
	}
}

func TestTenantsThatAreAllGreedyGetEqualParts(t *testing.T) {
	t.Parallel()
	b := newBudget(1000)
	const tenants = 4
	var leases []*Lease
	for i := range tenants {
		for k := range 8 {
			leases = append(leases, b.Open(Body, fmt.Sprint(i), fmt.Sprint(k)))
		}
	}
	for range 1000 {
		for _, l := range leases {
			_ = l.Grow(1)
		}
	}
	for i := range tenants {
		var sum int64
		for _, l := range leases[i*8 : (i+1)*8] {
			sum += l.Size()
		}
		if sum < 180 || sum > 220 {
			t.Errorf("tenant %d holds %d, want a fifth of 1000", i, sum)
		}
	}
}

func TestWhoIsToBlame(t *testing.T) {
	t.Parallel()
	b := newBudget(1200)
	hog := b.Open(Body, "hog", "1")
	defer hog.Close()
	more := b.Open(Body, "hog", "2")
	defer more.Close()
	_, _ = take(hog)
	_, _ = take(more)
	small := b.Open(Body, "small", "1")
	defer small.Close()
	if err := small.Grow(201); !errors.Is(err, ErrShare) { // its part is a third, half of that for one key
		t.Errorf("Grow beyond the key's part = %v, want ErrShare", err)
	}
	if err := small.Grow(199); err != nil {
		t.Fatal(err)
	}
	late := b.Open(Body, "late", "1") // its part: 1200/4/2
	defer late.Close()
	if err := late.Grow(149); !errors.Is(err, ErrFull) {
		t.Errorf("Grow within the part, which others hold = %v, want ErrFull", err)
	}
}

func TestTheSumStaysInTheBudget(t *testing.T) {
	t.Parallel()
	b := newBudget(10_000)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for range 300 {
				l := b.Open(Use(i%int(uses)), fmt.Sprint(i%5), fmt.Sprint(i))
				for range 20 {
					_ = l.Grow(rand.Int64N(2000))
					if held := b.Size(); held > b.Limit() || held < 0 {
						t.Errorf("%d bytes are held, of %d", held, b.Limit())
					}
					l.Shrink(rand.Int64N(500))
				}
				l.Close()
				l.Close()
			}
		})
	}
	wg.Wait()
	if b.held != 0 || b.active != 0 || len(b.tenants) != 0 || b.byUse != [uses]int64{} {
		t.Errorf("after the last Close: %d held, %d active, %d tenants, %v by use",
			b.held, b.active, len(b.tenants), b.byUse)
	}
}

func TestAwaitGetsWhatIsReleased(t *testing.T) {
	t.Parallel()
	b := newBudget(1200)
	first, second := b.Open(Body, "a", "1"), b.Open(Body, "a", "1")
	defer second.Close()
	_, _ = take(first)
	if err := second.Await(t.Context(), 100, time.Millisecond); !errors.Is(err, ErrShare) {
		t.Errorf("Await without a release = %v, want ErrShare", err)
	}
	gone, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("hung up"))
	if err := second.Await(gone, 100, time.Minute); err == nil || errors.Is(err, ErrShare) {
		t.Errorf("Await of a client that has gone = %v, want the cause", err)
	}
	got := make(chan error, 1)
	go func() { got <- second.Await(t.Context(), 300, time.Minute) }()
	for first.Size() > 50 {
		first.Shrink(50)
	}
	if err := <-got; err != nil {
		t.Errorf("Await after releases = %v", err)
	}
	first.Close()
}

func TestAClosedLeaseTakesNothing(t *testing.T) {
	t.Parallel()
	b := newBudget(1200)
	l := b.Open(Body, "a", "1")
	l.Close()
	if err := l.Grow(100); err != nil || b.Size() != 0 {
		t.Errorf("Grow after Close = %v, %d bytes held", err, b.Size())
	}
	var none *Lease
	if none.Grow(1) != nil || none.Await(t.Context(), 1, 0) != nil || none.Size() != 0 {
		t.Error("a nil lease refused")
	}
	none.Shrink(1)
	none.Close()
}

func TestGrowAllocatesNothing(t *testing.T) { //nolint:paralleltest // AllocsPerRun does not allow parallel tests
	b := newBudget(1200)
	l := b.Open(Body, "a", "1")
	defer l.Close()
	if n := testing.AllocsPerRun(100, func() {
		if err := l.Grow(10); err != nil {
			t.Fatal(err)
		}
		l.Shrink(10)
	}); n != 0 {
		t.Errorf("Grow and Shrink allocate %v times", n)
	}
}

func TestRefusalsAreCounted(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	b := New(1200, reg)
	l := b.Open(Reader, "a", "1")
	defer l.Close()
	_, _ = take(l)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, p := range m.GetLabel() {
				name += " " + p.GetValue()
			}
			seen[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"windlass_memory_budget_bytes": 1200, "windlass_memory_held_bytes reader": 400,
		"windlass_memory_held_bytes body": 0, "windlass_memory_refusals_total share reader": 1,
		"windlass_memory_refusals_total process reader": 0,
	} {
		if seen[name] != want {
			t.Errorf("%s = %v, want %v", name, seen[name], want)
		}
	}
}
