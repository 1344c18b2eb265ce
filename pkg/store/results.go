package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/postgres"
)

// ToolResult is the result of one attempt of a tool call.
type ToolResult struct {
	ID        uuid.UUID
	Epoch     int
	Turn      int
	Index     int
	Attempt   int
	CallID    string
	InputHash []byte
	Output    []byte // what the model sees
	Error     []byte // JSON of the failure; nil if the tool answered
	Took      time.Duration
	// Retry parks the step for another attempt instead of finishing it; Output
	// is not used.
	Retry bool
	Wait  time.Duration
}

// Progress is what a group of results changed in one request. Done and Failed
// are the places of the finished calls in the response's output, if the request
// is streamed.
type Progress struct {
	run.Row
	Done, Failed []int32
}

// TurnDone reports whether the turn's last call was finished, so that the row
// needs a message.
func (p Progress) TurnDone() bool { return p.Stage != run.StageTools }

func scanProgress(rows pgx.CollectableRow) (Progress, error) {
	var p Progress
	var dueIn, remaining, age float64
	err := rows.Scan(append(rowTargets(&p.Row, &dueIn, &remaining, &age), &p.Done, &p.Failed)...)
	p.DueIn, p.Remaining, p.Age = postgres.Duration(dueIn), postgres.Duration(remaining), postgres.Duration(age)
	return p, err
}

// The statement locks the request rows first, in the order of ids, finishes
// steps of locked rows only, and counts the steps that it really finished.
// After a lock wait Postgres compares columns with the newest row version
// (EvalPlanQual), so that a turn that another group opened meanwhile drops this
// group's duplicates.
const commitResultsSQL = `
WITH c AS (
  SELECT * FROM unnest(@ids::uuid[], @epochs::int[], @turns::int[], @idx::int[], @attempts::int[], @calls::text[],
                       @hashes::bytea[], @outputs::bytea[], @errors::bytea[], @took::bigint[], @retries::bool[],
                       @waits::float8[])
    AS c(id, epoch, turn, idx, attempt, call_id, hash, output, error, took, retry, wait)),
locked AS (
  SELECT r.id, r.epoch, r.turn FROM requests r
   WHERE r.id = ANY (@ids::uuid[]) AND r.status = 'in_progress' AND r.stage = 'tools'
   ORDER BY r.id FOR UPDATE),
turned AS (
  UPDATE steps s
     SET state = CASE WHEN c.retry THEN 'dispatched' WHEN c.error IS NULL THEN 'done' ELSE 'failed' END,
         attempt = CASE WHEN c.retry THEN s.attempt + 1 ELSE s.attempt END,
         counted = CASE WHEN c.retry THEN 0 ELSE s.counted END,
         output = CASE WHEN c.retry THEN NULL ELSE c.output END,
         error = COALESCE(c.error, s.error), took_us = c.took,
         not_before = CASE WHEN c.retry THEN now() + make_interval(secs => c.wait) END,
         finished_at = CASE WHEN c.retry THEN NULL ELSE now() END
    FROM c JOIN locked USING (id, epoch, turn)
   WHERE s.request_id = ANY (@ids::uuid[]) AND s.request_id = c.id AND s.turn = c.turn AND s.idx = c.idx
       AND s.attempt = c.attempt AND s.state = 'dispatched'
     AND s.call_id = c.call_id AND s.input_hash = c.hash
  RETURNING c.id, c.retry, c.wait, s.state, s.place),
counted AS (
  SELECT id, count(*) FILTER (WHERE NOT retry) AS n, min(wait) FILTER (WHERE retry) AS wait FROM turned GROUP BY id),
moved AS (
  UPDATE requests r
     SET pending = r.pending - c.n,
         stage = CASE WHEN r.pending > c.n THEN 'tools' WHEN r.outcome IS NULL THEN 'model' ELSE 'settle' END,
         turn = CASE WHEN r.pending > c.n OR r.outcome IS NOT NULL THEN r.turn ELSE r.turn + 1 END,
         changed_at = now(),
         not_before = CASE WHEN r.pending > c.n THEN GREATEST(r.not_before, now() + make_interval(secs => c.wait)) END,
         check_at = CASE WHEN r.pending > c.n THEN LEAST(r.check_at, now() + make_interval(secs => COALESCE(c.wait, 4)))
                         ELSE now() + interval '4 seconds' END
    FROM counted c WHERE r.id = ANY (@ids::uuid[]) AND r.id = c.id
  RETURNING r.*),
opened AS (
  INSERT INTO steps (request_id, turn, idx, kind, name, state)
  SELECT id, turn, 0, 'model', model, 'dispatched' FROM moved WHERE stage = 'model')
SELECT ` + rowColumns + `,
       ARRAY(SELECT t.place FROM turned t WHERE t.id = r.id AND t.state = 'done' AND r.streamed),
       ARRAY(SELECT t.place FROM turned t WHERE t.id = r.id AND t.state = 'failed' AND r.streamed)
  FROM moved r WHERE r.stage <> 'tools' OR r.streamed`

// CommitResults records tool results of any number of requests in one
// statement. It ignores a result whose attempt, call id or input hash does not
// match its step, or whose step is finished. It returns the rows whose last
// step it finished, each of which needs a message, and those of streamed
// requests.
func (s *Store) CommitResults(ctx context.Context, all []ToolResult) ([]Progress, error) {
	rows, err := postgres.Query(ctx, s.db, commitResultsSQL, postgres.Args{
		"ids":      postgres.IDs(all, func(t ToolResult) uuid.UUID { return t.ID }),
		"epochs":   postgres.Column(all, func(t ToolResult) int { return t.Epoch }),
		"turns":    postgres.Column(all, func(t ToolResult) int { return t.Turn }),
		"idx":      postgres.Column(all, func(t ToolResult) int { return t.Index }),
		"attempts": postgres.Column(all, func(t ToolResult) int { return t.Attempt }),
		"calls":    postgres.Column(all, func(t ToolResult) string { return t.CallID }),
		"hashes":   postgres.Column(all, func(t ToolResult) []byte { return t.InputHash }),
		"outputs":  postgres.Column(all, func(t ToolResult) []byte { return t.Output }),
		"errors":   postgres.Column(all, func(t ToolResult) []byte { return t.Error }),
		"took":     postgres.Column(all, func(t ToolResult) int64 { return t.Took.Microseconds() }),
		"retries":  postgres.Column(all, func(t ToolResult) bool { return t.Retry }),
		"waits":    postgres.Column(all, func(t ToolResult) float64 { return t.Wait.Seconds() }),
	}, scanProgress)
	if err != nil {
		return nil, fmt.Errorf("commit %d tool results: %w", len(all), err)
	}
	return rows, nil
}
