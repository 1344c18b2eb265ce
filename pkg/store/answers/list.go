package answers

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/labels"
	"windlass.dev/windlass/pkg/store/postgres"
)

const (
	// listBudget bounds the responses that one page with label filters reads:
	// about 20 ms.
	listBudget = 2000
	// listProbe bounds the counts that find the filter with the fewest
	// responses.
	listProbe = 1000
)

// Query names a page of a tenant's stored responses: up to Limit of those with
// an id between Above and Below that match every filter.
type Query struct {
	Tenant   string
	Statuses []run.Status      // any of them; nil: all
	Model    string            // empty: all
	Metadata map[string]string // every pair
	Parent   uuid.UUID         // what they continue directly; uuid.Nil: anything
	// Conversation is the one they are part of; uuid.Nil: no filter.
	Conversation uuid.UUID

	NewestFirst  bool
	Above, Below uuid.UUID // neither is included
	Limit        int
	Bytes        int64 // bounds the bodies of the page, except the first
}

// Listing is the result of a Query.
type Listing struct {
	Answers []*Answer // in order
	// More: the next page starts behind Next, which is the last answer's id or,
	// if the page ended because it read too many responses that do not match,
	// the id of the last one read.
	More bool
	Next uuid.UUID
}

// The sources of a list return its candidates in order, up to @budget of them.
// They are ordered by the bytes of their ids, because only the index that a
// source is to walk has that order: a plan made while the tables were small
// would otherwise walk the primary key, past everything that does not match.
// (Naming all columns of the index in ORDER BY does not help, because the
// planner leaves out those that are compared with one value; comparing whole
// rows leaves the end of the range open.)
const (
	byStatusSQL = `
   SELECT c.id, c.key FROM unnest(@statuses::text[]) AS w(status) CROSS JOIN LATERAL (
     SELECT r.id, uuid_send(r.id) AS key FROM requests r
      WHERE r.tenant = @tenant AND r.status = w.status AND r.stored AND r.endpoint = 'responses'
        AND uuid_send(r.id) > @above AND uuid_send(r.id) < @below
      ORDER BY uuid_send(r.id) ASC LIMIT @budget) c
    ORDER BY c.key ASC LIMIT @budget`
	byModelSQL = `
   SELECT c.id, c.key FROM unnest(@statuses::text[]) AS w(status) CROSS JOIN LATERAL (
     SELECT r.id, uuid_send(r.id) AS key FROM requests r
      WHERE r.tenant = @tenant AND r.model = @model AND r.status = w.status AND r.stored AND r.endpoint = 'responses'
        AND uuid_send(r.id) > @above AND uuid_send(r.id) < @below
      ORDER BY uuid_send(r.id) ASC LIMIT @budget) c
    ORDER BY c.key ASC LIMIT @budget`
	byLabelSQL = `
   SELECT l.request_id AS id, uuid_send(l.request_id) AS key FROM labels l
    WHERE l.label = @label AND uuid_send(l.request_id) > @above AND uuid_send(l.request_id) < @below
    ORDER BY uuid_send(l.request_id) ASC LIMIT @budget`
)

// The subqueries that end in LIMIT 1 run for one candidate at a time, until the
// page is full. A label is compared by id and by bytes, so that both indexes of
// labels cost the same. cut is the last candidate if the source's budget ended
// the page. An empty page is one row.
const listSQL = `
WITH found AS (
  SELECT c.id, c.key FROM ({source}) c
   CROSS JOIN LATERAL (
     SELECT r.tenant, r.stored, r.endpoint, r.status, r.model FROM requests r WHERE r.id = c.id LIMIT 1) r
   WHERE r.tenant = @tenant AND r.stored AND r.endpoint = 'responses' AND r.status = ANY (@statuses::text[])
     AND (@model::text = '' OR r.model = @model)
     AND cardinality(@labels::uuid[]) = (
           SELECT count(*) FROM unnest(@labels::uuid[]) AS w(label)
            CROSS JOIN LATERAL (
             SELECT FROM labels l WHERE l.label = w.label AND l.request_id = c.id
                AND uuid_send(l.request_id) = c.key LIMIT 1) l)
   ORDER BY c.key ASC LIMIT @most),
sized AS (
  SELECT r.*, a.data AS final, CASE WHEN a.data IS NULL THEN b.data END AS body, row_number() OVER up AS place,
         sum(octet_length(COALESCE(a.data, b.data))) OVER up AS bytes
    FROM found
   CROSS JOIN LATERAL (
     SELECT r.id, r.status, r.reason, r.background, r.streamed, r.live OR r.status = 'queued' AS live,
            r.created_at, r.finished_at
       FROM requests r WHERE r.id = found.id LIMIT 1) r
    LEFT JOIN LATERAL (SELECT data FROM bodies WHERE request_id = found.id AND kind = 'answer' LIMIT 1) a ON true
    LEFT JOIN LATERAL (SELECT data FROM bodies WHERE request_id = found.id AND kind = 'request' LIMIT 1) b ON true
  WINDOW up AS (ORDER BY found.key ASC))
SELECT e.n, COALESCE(e.cut, ` + postgres.NilID + `), COALESCE(p.id, ` + postgres.NilID + `),
       COALESCE(p.status, ''), COALESCE(p.reason, ''), COALESCE(p.background, false), COALESCE(p.streamed, false),
       COALESCE(p.live, false), COALESCE(p.created_at, now()),
       p.finished_at, p.body, p.final
  FROM (SELECT count(*) AS n, CASE WHEN count(*) < @most THEN (
          SELECT c.id FROM ({source}) c OFFSET @budget - 1) END AS cut
          FROM found) e
  LEFT JOIN sized p ON p.place < @most AND (p.bytes <= @bytes OR p.place = 1)
 ORDER BY p.place`

// The counts end at @probe. Number 0 is the filter by status or model; @broad
// means that the query has no such filter.
const rarestSQL = `
SELECT nth FROM (
  SELECT w.nth, (SELECT count(*) FROM ({label}) c) AS n FROM unnest(@labels::uuid[]) WITH ORDINALITY AS w(label, nth)
  UNION ALL
  SELECT 0, (SELECT count(*) FROM ({source}) c) WHERE NOT @broad::bool) f
 ORDER BY n, nth LIMIT 1`

// listSource holds the statements that read a list from one source of
// candidates.
type listSource struct {
	up, down string
	rarest   string
}

var byStatus, byModel, byLabel = newListSource(byStatusSQL), newListSource(byModelSQL), newListSource(byLabelSQL)

func newListSource(sql string) listSource {
	up := strings.ReplaceAll(listSQL, "{source}", sql)
	perLabel := strings.NewReplacer("@label", "w.label", "@budget", "@probe").Replace(byLabelSQL)
	return listSource{
		up: up, down: strings.ReplaceAll(up, " ASC", " DESC"),
		rarest: strings.NewReplacer(
			"{label}", perLabel, "{source}", strings.ReplaceAll(sql, "@budget", "@probe"),
		).Replace(rarestSQL),
	}
}

// List returns a page of a tenant's stored responses, in bounded time. A walk
// over all pages without filters returns every response that exists from the
// first page to the last, once.
func (s *Store) List(ctx context.Context, q Query) (Listing, error) {
	a := q.args()
	source, err := s.chooseSource(ctx, q, a)
	var l Listing
	if err == nil {
		l, err = s.readPage(ctx, source, q, a)
	}
	if err != nil {
		return Listing{}, fmt.Errorf("list responses of %s: %w", q.Tenant, err)
	}
	return l, nil
}

// chooseSource returns the source with the fewest responses, and bounds what
// the other filters read.
func (s *Store) chooseSource(ctx context.Context, q Query, a postgres.Args) (listSource, error) {
	source := byStatus
	if q.Model != "" {
		source = byModel
	}
	names := a["labels"].([][16]byte)
	if len(names) == 0 {
		return source, nil
	}
	a["budget"], a["probe"], a["broad"] = listBudget, listProbe, q.Model == "" && len(q.Statuses) == 0
	nth, err := postgres.Query(ctx, s.db, source.rarest, a, pgx.RowTo[int])
	if err != nil {
		return listSource{}, fmt.Errorf("find the rarest filter: %w", err)
	}
	if nth[0] > 0 {
		source, a["label"] = byLabel, names[nth[0]-1]
	}
	return source, nil
}

func (s *Store) readPage(ctx context.Context, source listSource, q Query, a postgres.Args) (l Listing, err error) {
	sql := source.up
	if q.NewestFirst {
		sql = source.down
	}
	var found int
	var cut uuid.UUID
	all, err := postgres.Query(ctx, s.db, sql, a, func(row pgx.CollectableRow) (*Answer, error) {
		n := Answer{Tenant: q.Tenant, Endpoint: run.Responses, Stored: true}
		return &n, row.Scan(&found, &cut, &n.ID, &n.Status, &n.Reason, &n.Background, &n.Streamed, &n.Live,
			&n.CreatedAt, &n.FinishedAt, &n.Body, &n.Final)
	})
	if err != nil {
		return l, err
	}
	if l.Answers = all; all[0].ID == uuid.Nil {
		l.Answers = nil
	}
	switch n := len(l.Answers); {
	case found > n:
		l.More, l.Next = true, l.Answers[n-1].ID
	case cut != uuid.Nil:
		l.More, l.Next = true, cut
	}
	return l, nil
}

func (q Query) args() postgres.Args {
	return postgres.Args{
		"tenant": q.Tenant, "statuses": q.statuses(), "model": q.Model,
		"labels": labels.Of(q.Tenant, q.Metadata, q.Parent, q.Conversation),
		"above":  q.Above[:], "below": q.Below[:], "most": q.Limit + 1, "budget": q.Limit + 1, "bytes": q.Bytes,
	}
}

func (q Query) statuses() []string {
	if len(q.Statuses) == 0 {
		return []string{"queued", "in_progress", "completed", "incomplete", "failed", "cancelled", "expired"}
	}
	return postgres.Column(q.Statuses, func(s run.Status) string { return string(s) })
}
