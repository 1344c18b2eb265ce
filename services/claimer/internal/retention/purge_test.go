package retention

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/retention"
	"windlass.dev/windlass/pkg/store/storetest"
	"windlass.dev/windlass/services/claimer/internal/claimertest"
	"windlass.dev/windlass/services/internal/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(storetest.Suite{M: m}) }

// ended accepts and cancels a request of two hours ago, and returns its id.
func ended(t *testing.T, w *worker.Worker, url string, change ...func(*store.NewRequest)) uuid.UUID {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	ms := time.Now().Add(-2 * time.Hour).UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	claimertest.Accept(t, w, append(change, func(n *store.NewRequest) { n.ID = id })...)
	if err := w.Store.Settle(t.Context(), store.Settlement{ID: id, Tenant: "default", Status: run.Cancelled}); err != nil {
		t.Fatal(err)
	}
	var n1 int
	storetest.Query(t, url, `WITH u AS (UPDATE requests SET finished_at = now() - interval '2 hours' WHERE id = $1 RETURNING 1) SELECT count(*) FROM u`,
		[]any{id}, &n1)
	return id
}

func TestOldRequestsArePurged(t *testing.T) {
	t.Parallel()
	url := claimertest.Database(t)
	w := claimertest.Worker(t, url)
	reg := prometheus.NewRegistry()
	w.Metrics = process.NewMetrics(reg, "claimer")
	for range 25 {
		ended(t, w, url)
	}
	claimertest.Claim(t, w)
	for range 12 {
		ended(t, w, url, func(n *store.NewRequest) { n.Unstored = true })
	}
	counts := func() (requests, erased, bodies int) {
		t.Helper()
		storetest.Query(t, url, `SELECT count(*), count(*) FILTER (WHERE erased), (SELECT count(*) FROM bodies) FROM requests`, nil, &requests, &erased, &bodies)
		return requests, erased, bodies
	}
	if none := newPurges(w, Periods{}); len(none) != 0 {
		t.Errorf("%d purgers where everything is kept", len(none))
	}
	for _, p := range newPurges(w, Periods{Unstored: time.Hour}) {
		p.batch = 5
		p.run(t.Context())
	}
	if requests, erased, bodies := counts(); requests != 38 || erased != 12 || bodies != 26 {
		t.Errorf("%d requests, %d of them erased, and %d bodies are left; want 38, 12, 26", requests, erased, bodies)
	}
	for _, p := range newPurges(w, Periods{Stored: time.Hour}) {
		p.batch = 5
		p.run(t.Context())
	}
	if requests, _, bodies := counts(); requests != 1 || bodies != 1 {
		t.Errorf("%d requests and %d bodies are left, want what has not ended", requests, bodies)
	}
	want := `# HELP windlass_purged_requests_total Old requests of which all rows, or the payloads alone, were purged.
# TYPE windlass_purged_requests_total counter
windlass_purged_requests_total{kind="payloads"} 12
windlass_purged_requests_total{kind="rows"} 37
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "windlass_purged_requests_total"); err != nil {
		t.Error(err)
	}
}

// A purge that ends in the middle has deleted whole batches, and the next one
// continues.
func TestAPurgeThatIsBrokenOff(t *testing.T) {
	t.Parallel()
	url := claimertest.Database(t)
	w := claimertest.Worker(t, url)
	for range 30 {
		ended(t, w, url)
	}
	ctx, kill := context.WithCancel(t.Context())
	p := newPurges(w, Periods{Stored: time.Hour})[0]
	step, steps := p.deleteBatch, 0
	p.batch, p.deleteBatch = 4, func(ctx context.Context, most int) ([]retention.Purged, bool, error) {
		if steps++; steps == 3 {
			kill()
		}
		return step(ctx, most)
	}
	p.run(ctx)
	left := func() (n, orphans int) {
		t.Helper()
		storetest.Query(t, url, `SELECT count(*), (SELECT count(*) FROM bodies b WHERE NOT EXISTS (SELECT FROM requests r WHERE r.id = b.request_id))
			FROM requests`, nil, &n, &orphans)
		return n, orphans
	}
	if n, orphans := left(); n == 30 || n == 0 || orphans != 0 {
		t.Errorf("%d requests are left of 30, and %d bodies of none of them", n, orphans)
	}
	newPurges(w, Periods{Stored: time.Hour})[0].run(t.Context())
	if n, orphans := left(); n != 0 || orphans != 0 {
		t.Errorf("%d requests and %d bodies of none of them are left after another purge", n, orphans)
	}
}

// A walk returns to what an earlier one could not delete.
func TestWalksComeBack(t *testing.T) {
	t.Parallel()
	url := claimertest.Database(t)
	w := claimertest.Worker(t, url)
	var ids []uuid.UUID
	for range 9 {
		ids = append(ids, ended(t, w, url))
	}
	set := func(finished string, id uuid.UUID) {
		t.Helper()
		var n int
		storetest.Query(t, url, `WITH u AS (UPDATE requests SET finished_at = now() - $2::interval WHERE id = $1 RETURNING 1) SELECT count(*) FROM u`, []any{id, finished}, &n)
	}
	oldest := ids[0]
	for _, id := range ids {
		if run.Hex(id) < run.Hex(oldest) {
			oldest = id
		}
	}
	set("0", oldest)
	rows := &walk{store: retention.New(w.DB), period: time.Hour}
	purged := 0
	round := func() {
		t.Helper()
		for more := true; more; {
			gone, goesOn, err := rows.deleteBatch(t.Context(), 2)
			if err != nil {
				t.Fatal(err)
			}
			purged, more = purged+len(gone), goesOn
		}
	}
	if round(); purged != 8 || rows.clear != uuid.Nil {
		t.Errorf("%d are purged and all is clear up to %s, want 8, and nothing clear", purged, rows.clear)
	}
	set("2 hours", oldest)
	if round(); purged != 9 || rows.clear != oldest {
		t.Errorf("%d are purged and all is clear up to %s, want 9 and %s", purged, rows.clear, oldest)
	}
}

func TestBatchesOfAPurge(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		batch int
		took  time.Duration
		want  int
	}{
		{200, time.Millisecond, 200},
		{100, time.Millisecond, 200},
		{150, time.Millisecond, 200},
		{200, longBatch + 1, 100},
		{1, longBatch + 1, 1},
		{1, longBatch, 2},
	} {
		if got := nextBatch(tt.batch, tt.took); got != tt.want {
			t.Errorf("after %d in %s come %d, want %d", tt.batch, tt.took, got, tt.want)
		}
	}
	failing := &purge{Worker: claimertest.Worker(t, claimertest.Database(t)), kind: "rows", batch: 8, deleteBatch: func(context.Context, int) ([]retention.Purged, bool, error) {
		return nil, true, errors.New("it took too long")
	}}
	if failing.run(t.Context()); failing.batch != 4 {
		t.Errorf("after a batch of 8 that failed come %d, want 4 in the next round", failing.batch)
	}
}

// Tool results of a purged request are deleted from the bus, too, while it can
// still hold them.
func TestPurgedRequestsAreErasedFromTheBus(t *testing.T) {
	t.Parallel()
	w := claimertest.Worker(t, claimertest.Database(t))
	for _, tt := range []struct {
		kept  time.Duration
		tools bool
		left  int
	}{{time.Hour, true, 0}, {time.Hour, false, 1}, {bus.StepMaxAge + 1, true, 1}} {
		row := claimertest.Claim(t, w) // its command is what the bus holds here
		p := &purge{Worker: w, kind: "payloads", period: tt.kept}
		p.eraseFromBus(t.Context(), []retention.Purged{{ID: row.ID, Tools: tt.tools}})
		waiting, _, err := w.Bus.LaneLoad(t.Context(), "m")
		if err != nil || waiting != tt.left {
			t.Errorf("kept for %s, tools %v: the bus holds %d, %v, want %d", tt.kept, tt.tools, waiting, err, tt.left)
		}
		if err := w.Bus.Erase(t.Context(), run.Hex(row.ID)); err != nil {
			t.Fatal(err)
		}
		claimertest.WaitForTurns(t, w, 0)
	}
}

func TestWhatIsKeptIsChecked(t *testing.T) {
	t.Parallel()
	for _, k := range []Periods{{}, {720 * time.Hour, 10 * time.Minute}, {minPeriod, minPeriod}} {
		if err := k.Validate(); err != nil {
			t.Errorf("%+v is refused: %v", k, err)
		}
	}
	err := Periods{Stored: -1, Unstored: time.Second}.Validate()
	if err == nil || !strings.Contains(err.Error(), "WINDLASS_RETENTION is -1ns") || !strings.Contains(err.Error(), "WINDLASS_RETENTION_UNSTORED is 1s") {
		t.Errorf("both faults are reported as %v", err)
	}
}
