package batch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"windlass.dev/windlass/pkg/store/postgres"
)

var (
	errRefused = &pgconn.PgError{Code: "23514"} // a CHECK says no
	errAway    = &pgconn.PgError{Code: "57P01"} // the server goes down
	errGone    = errors.New("the caller has gone")
)

// statements is a run that answers with the item's double, remembers what it
// was given, and takes a while.
type statements struct {
	mu   sync.Mutex
	runs [][]int
	fail func(items []int) error
}

func (st *statements) run(ctx context.Context, items []int) ([]int, error) {
	st.mu.Lock()
	st.runs = append(st.runs, items)
	st.mu.Unlock()
	select {
	case <-time.After(10 * time.Millisecond):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if st.fail != nil {
		if err := st.fail(items); err != nil {
			return nil, err
		}
	}
	return postgres.Column(items, func(i int) int { return 2 * i }), nil
}

func TestQueueJoinsWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var st statements
		g := New(2, 128, st.run)
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() {
				if got, err := g.Do(t.Context(), i); got != 2*i || err != nil {
					t.Errorf("Do(%d) = %d, %v; want %d", i, got, err, 2*i)
				}
			})
		}
		wg.Wait()
		// Two leads may start with one item each; the rest goes in full
		// statements.
		if n := len(st.runs); n > 12 {
			t.Errorf("1000 calls made %d statements after %s, want 12 at most", n, time.Since(start))
		}
		for _, items := range st.runs {
			if len(items) > 128 {
				t.Errorf("a statement of %d items, want 128 at most", len(items))
			}
		}
		if len(g.waiting) != 0 || len(g.leads) != 0 {
			t.Errorf("%d calls and %d leads are left, want none", len(g.waiting), len(g.leads))
		}
	})
}

func TestQueueOneBadItemFailsAlone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		err      error
		wantErr  []bool // of the items 0 to 3
		wantRuns int    // of those that waited together
	}{
		{"refused by the server: each is tried alone", errRefused, []bool{false, false, true, false}, 1 + 4},
		{"the server is away: nothing is repeated", errAway, []bool{true, true, true, true}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				st := statements{fail: func(items []int) error {
					if slices.Contains(items, 2) {
						return tt.err
					}
					return nil
				}}
				g := New(1, 128, st.run)
				g.leads <- struct{}{} // somebody's statement is on its way
				failed := make([]bool, 4)
				var wg sync.WaitGroup
				for i := range failed {
					wg.Go(func() {
						got, err := g.Do(t.Context(), i)
						failed[i] = err != nil
						if err == nil && got != 2*i || err != nil && !errors.Is(err, tt.err) {
							t.Errorf("Do(%d) = %d, %v", i, got, err)
						}
					})
				}
				synctest.Wait()
				<-g.leads
				wg.Wait()
				if diff := cmp.Diff(tt.wantErr, failed); diff != "" {
					t.Errorf("who failed (-want +got):\n%s", diff)
				}
				if len(st.runs) != tt.wantRuns {
					t.Errorf("%d statements %v, want %d", len(st.runs), st.runs, tt.wantRuns)
				}
			})
		})
	}
}

func TestQueueWaiterLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var st statements
		g := New(1, 128, st.run)
		g.leads <- struct{}{}
		ctx, cancel := context.WithCancelCause(t.Context())
		left := make(chan error, 1)
		go func() {
			_, err := g.Do(ctx, 1)
			left <- err
		}()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := g.Do(t.Context(), 2); err != nil {
				t.Errorf("the one who stayed: %v", err)
			}
		})
		synctest.Wait()
		cancel(errGone)
		if err := <-left; !errors.Is(err, errGone) {
			t.Errorf("the one who left got %v, want its own cause", err)
		}
		<-g.leads
		wg.Wait()
		if diff := cmp.Diff([][]int{{2}}, st.runs); diff != "" {
			t.Errorf("statements (-want +got):\n%s", diff)
		}
	})
}

// The one who leads may be cancelled: the statement is everybody's.
func TestQueueLeaderIsCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var st statements
		g := New(1, 128, st.run)
		ctx, cancel := context.WithCancelCause(t.Context())
		led := make(chan error, 1)
		go func() {
			_, err := g.Do(ctx, 1)
			led <- err
		}()
		synctest.Wait()
		cancel(errGone)
		if err := <-led; err != nil {
			t.Errorf("the leader got %v, want its answer: the statement had begun", err)
		}
		if got, err := g.Do(t.Context(), 2); got != 4 || err != nil {
			t.Errorf("the next call = %d, %v; want 4", got, err)
		}
	})
}
