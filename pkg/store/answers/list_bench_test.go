package answers_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/pkg/store/labels"
	"windlass.dev/windlass/pkg/store/runtest"
	"windlass.dev/windlass/pkg/store/storetest"
)

const (
	benchRows  = 1_000_000
	benchChunk = 2000
)

// A tenant's million of finished responses over 30 days, and two labels of
// each: env=prod of all but the first tenth, which has another, and customer=n
// of a hundred each. One in a thousand failed; the failed ones are a block in
// the middle, the worst place for a walk by time.
const benchFillSQL = `
WITH made AS (
  SELECT i, (lpad(to_hex(($1::bigint + i) * 2592), 12, '0') || '7000' || '8000' || lpad(to_hex(i), 12, '0'))::uuid AS id,
         CASE WHEN $1 + i BETWEEN 500000 AND 500999 THEN 'failed' ELSE 'completed' END AS status
    FROM generate_series(1, $2::int) AS i),
filled AS (
  INSERT INTO requests (id, tenant, endpoint, model, lane, tier, background, vft, deadline, status, finished_at)
  SELECT id, '` + runtest.Tenant + `', 'responses', 'model-' || i % 5, 'm', 1, true, i, now(), status, now() FROM made),
stepped AS (
  INSERT INTO steps (request_id, turn, idx, kind, name, state, finished_at) SELECT id, 1, 0, 'model', 'm', 'done', now() FROM made),
asked AS (
  INSERT INTO bodies SELECT id, 'request', decode(repeat('00', 100), 'hex') FROM made),
answered AS (
  INSERT INTO bodies SELECT id, 'answer', decode(repeat('00', 1000), 'hex') FROM made),
labelled AS (
  INSERT INTO labels (label, request_id) SELECT CASE WHEN $1 + i > 100000 THEN $3::uuid ELSE $5::uuid END, id FROM made)
INSERT INTO labels (label, request_id)
SELECT ($4::uuid[])[1 + ($1 + i) % 10000], id FROM made`

// BenchmarkListOfAMillion is about a minute of filling, and then the slowest of
// every hundred lists of each kind, in milliseconds.
func BenchmarkListOfAMillion(b *testing.B) {
	url := storetest.Database(b, runtest.Migrate)
	s := runtest.OpenAt(b, url)
	customers := make([]uuid.UUID, 10_000)
	for i := range customers {
		customers[i] = labelOf("customer", string(rune(i)))
	}
	for at := 0; at < benchRows; at += benchChunk {
		runtest.Exec(b, s, benchFillSQL, at, benchChunk, labelOf("env", "prod"), customers, labelOf("env ", "prod"))
	}
	vacuum(b, url)
	for name, change := range map[string]func(*answers.Query){
		"newest":                func(*answers.Query) {},
		"oldest":                func(q *answers.Query) { q.NewestFirst = false },
		"hundred":               func(q *answers.Query) { q.Limit = 100 },
		"failed":                func(q *answers.Query) { q.Statuses = []run.Status{run.Failed, run.Expired} },
		"model":                 func(q *answers.Query) { q.Model = "model-1" },
		"failed of model":       func(q *answers.Query) { q.Model, q.Statuses = "model-1", []run.Status{run.Failed} },
		"queued":                func(q *answers.Query) { q.Statuses = []run.Status{run.Queued} },
		"common label":          func(q *answers.Query) { q.Metadata = map[string]string{"env": "prod"} },
		"rare label":            func(q *answers.Query) { q.Metadata = map[string]string{"customer": "\x05"} },
		"common and rare label": func(q *answers.Query) { q.Metadata = map[string]string{"env": "prod", "customer": "\x05"} },
		"label without match":   func(q *answers.Query) { q.Metadata = map[string]string{"env": "test"} },
		"failed with label": func(q *answers.Query) {
			q.Metadata, q.Statuses = map[string]string{"env": "prod"}, []run.Status{run.Failed}
		},
		"two labels without a common match": func(q *answers.Query) { q.Metadata = map[string]string{"env": "prod", "env ": "prod"} },
	} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				q := answers.Query{Tenant: runtest.Tenant, Below: uuid.Max, NewestFirst: true, Limit: 20, Bytes: 8 << 20}
				change(&q)
				began := time.Now()
				if _, err := s.Answers.List(b.Context(), q); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// vacuum has a session of its own, in which statements may take as long as they
// do.
func vacuum(b *testing.B, url string) {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close(b.Context()) }()
	if _, err := conn.Exec(b.Context(), `VACUUM ANALYZE`); err != nil {
		b.Fatal(err)
	}
}

func labelOf(key, value string) uuid.UUID {
	return labels.Of(runtest.Tenant, map[string]string{key: value}, uuid.Nil, uuid.Nil)[0]
}
