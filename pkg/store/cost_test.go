package store_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/runtest"
	"windlass.dev/windlass/pkg/store/storetest"
)

const (
	costRequests = 200
	costTurns    = 3
	costTools    = 5
	costInFlight = 16
)

// costRun drives requests as the services do: turns and settlements one by one,
// joined by the store; results in groups of whatever waits.
type costRun struct {
	t       *testing.T
	s       *runtest.World
	results chan store.ToolResult
	mu      sync.Mutex
	opened  map[uuid.UUID]chan run.Row // the driver of each request waits there for the row its last result moved
	groups  atomic.Int64
}

// commitGroups ends when results is closed.
func (c *costRun) commitGroups() {
	for first := range c.results {
		group := []store.ToolResult{first}
		for more := true; more && len(group) < 256; {
			select {
			case o, ok := <-c.results:
				if more = ok; ok {
					group = append(group, o)
				}
			default:
				more = false
			}
		}
		c.groups.Add(1)
		rows, err := c.s.CommitResults(c.t.Context(), group)
		if err != nil {
			c.t.Error(err) // the drivers end by their own limit
		}
		for _, r := range rows {
			c.mu.Lock()
			opened := c.opened[r.ID]
			c.mu.Unlock()
			opened <- r.Row
		}
	}
}

func (c *costRun) drive(r run.Row) {
	ctx := c.t.Context()
	opened := make(chan run.Row, 1)
	c.mu.Lock()
	c.opened[r.ID] = opened
	c.mu.Unlock()
	for range costTurns {
		asked, err := c.s.CommitTurn(ctx, r, run.TurnCommit{Fence: runtest.FenceOf(r), Output: make([]byte, 100), Steps: runtest.NewSteps(costTools)})
		if err != nil {
			c.t.Error(err)
			return
		}
		for _, o := range runtest.Results(asked) {
			c.results <- o
		}
		select {
		case r = <-opened:
		case <-time.After(20 * time.Second):
			c.t.Errorf("%s: no turn was opened within 20 s", uuid.UUID(r.ID))
			return
		}
	}
	r, err := c.s.CommitTurn(ctx, r, run.TurnCommit{Fence: runtest.FenceOf(r), Output: make([]byte, 100), Outcome: run.Completed})
	if err == nil {
		err = c.s.Settle(ctx, store.Settlement{ID: r.ID, Epoch: r.Epoch, Status: run.Completed, Answer: make([]byte, 100), AfterWork: true})
	}
	if err == nil {
		err = c.s.Finish(ctx, r.ID)
	}
	if err != nil {
		c.t.Error(err)
	}
}

func (c *costRun) all() {
	var committer, drivers sync.WaitGroup
	committer.Go(c.commitGroups)
	slots := make(chan struct{}, costInFlight)
	for range costRequests {
		slots <- struct{}{}
		r := runtest.Claimed(c.t, c.s)
		drivers.Go(func() {
			c.drive(r)
			<-slots
		})
	}
	drivers.Wait()
	close(c.results)
	committer.Wait()
}

// wal is how much the whole server has written.
func wal(tb testing.TB, s *runtest.World) int64 {
	tb.Helper()
	return runtest.Ask[int64](tb, s, `SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint`)[0]
}

// updates reads how many updates of a table were made and how many stayed on
// their page, once the sessions that made them have reported.
func updates(t *testing.T, url, table string) (all, hot int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	const sql = `SELECT n_tup_upd, n_tup_hot_upd, (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database())
  FROM pg_stat_user_tables WHERE relname = $1`
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 200 {
		var sessions int
		if err := conn.QueryRow(t.Context(), sql, table).Scan(&all, &hot, &sessions); err != nil {
			t.Fatal(err)
		}
		if sessions == 1 { // the others have ended, and reported before
			return all, hot
		}
		<-tick.C
	}
	t.Fatal("the pool's sessions have not ended after 4 s")
	return 0, 0
}

// It runs alone: the WAL is the whole server's.
func TestCostOfARun(t *testing.T) { //nolint:paralleltest // see above
	url := storetest.Database(t, runtest.Migrate)
	s := runtest.OpenAt(t, url)
	run := &costRun{t: t, s: s, results: make(chan store.ToolResult, 256), opened: make(map[uuid.UUID]chan run.Row)}
	before, start := wal(t, s), time.Now()
	run.all()
	bytes, took := wal(t, s)-before, time.Since(start)

	const toolSteps, allSteps = costRequests * costTurns * costTools, costRequests * (costTurns*costTools + costTurns + 1)
	if got := runtest.Ask[int](t, s, `SELECT count(*) FROM steps WHERE state = 'done'`)[0]; got != allSteps {
		t.Errorf("%d steps done, want %d", got, allSteps)
	}
	if got := runtest.Ask[int](t, s, `SELECT count(*) FROM requests WHERE status = 'completed' AND NOT live`)[0]; got != costRequests {
		t.Errorf("%d requests completed, want %d", got, costRequests)
	}
	t.Logf("%d requests of %d × %d tools in %s: %d bytes of WAL a step, %d a tool step; %d groups for %d results", costRequests, costTurns,
		costTools, took.Round(time.Millisecond), bytes/allSteps, bytes/toolSteps, run.groups.Load(), toolSteps)
	if perStep := bytes / allSteps; perStep > 1500 {
		t.Errorf("%d bytes of WAL a step, want 1,500 at most", perStep)
	}

	s.DB.Close()
	all, hot := updates(t, url, "requests")
	// The claim, the settlement and the end of the after-work leave a partial
	// index; every other update stays on its page.
	inLoop := all - 3*costRequests
	t.Logf("%d updates of requests, %d on their page: %.2f of all, %.2f of the loop's", all, hot, float64(hot)/float64(all), float64(hot)/float64(inLoop))
	if ratio := float64(hot) / float64(inLoop); ratio < 0.9 {
		t.Errorf("%.2f of the loop's updates stayed on their page, want 0.9 at least", ratio)
	}
	stepsAll, stepsHot := updates(t, url, "steps")
	t.Logf("%d updates of steps, %d on their page", stepsAll, stepsHot)
}

// A full statement must be far from its timeout.
func TestLargeGroups(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	const requests, calls = 128, 16
	var turns []run.TurnCommit
	var all []store.ToolResult
	for range requests {
		r := runtest.Claimed(t, s)
		c := run.TurnCommit{Fence: runtest.FenceOf(r), Steps: runtest.NewSteps(calls)}
		turns = append(turns, c)
		all = append(all, runtest.Results(c.After(r))...)
	}
	start := time.Now()
	won, err := s.CommitTurns(t.Context(), turns)
	if err != nil {
		t.Fatal(err)
	}
	for i, ok := range won {
		if !ok {
			t.Errorf("turn %d was not committed", i)
		}
	}
	tookTurns := time.Since(start)
	start = time.Now()
	rows := runtest.CommitResults(t, s, all...)
	tookResults := time.Since(start)
	if len(rows) != requests {
		t.Errorf("%d rows moved, want %d", len(rows), requests)
	}
	t.Logf("%d turns with %d calls each in %s, their %d results in %s", requests, calls, tookTurns, len(all), tookResults)
	if limit := postgres.StatementTimeout / 2; tookTurns > limit || tookResults > limit {
		t.Errorf("a full statement took %s and %s, want %s at most", tookTurns, tookResults, limit)
	}
}
