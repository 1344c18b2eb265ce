package store

import (
	"time"

	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/postgres"
)

// rowColumns are the columns of a Row, from requests as r. The database
// computes the durations, by its own clock.
const rowColumns = `r.id, r.tenant, r.endpoint, r.lane, r.model, r.status, r.stage, r.live, r.epoch, r.turn, r.attempt,
  r.pending, r.failures, r.crashes, COALESCE(r.outcome, '') AS outcome, COALESCE(r.reason, '') AS reason,
  r.trace, r.created_at,
  COALESCE(r.previous, ` + postgres.NilID + `) AS previous,
  COALESCE(r.conversation, ` + postgres.NilID + `) AS conversation,
  r.streamed, COALESCE(r.check_at = r.not_before, false) AS unpublished,
  GREATEST(COALESCE(extract(epoch FROM r.not_before - now()), 0), 0)::float8 AS due_in,
  extract(epoch FROM r.deadline - now())::float8 AS remaining,
  extract(epoch FROM now() - GREATEST(r.changed_at, r.not_before))::float8 AS age`

// stepColumns are the columns of a Step, from steps as s.
const stepColumns = stepStart + `, s.input, s.input_hash, s.output, ` + stepEnd

// The columns before and after the input and output of a step.
const (
	stepName  = `s.turn, s.idx, s.kind, s.name, s.pool, s.call_id, s.state, `
	stepStart = stepName + `s.attempt`
	stepEnd   = `s.error,
  COALESCE(s.input_tokens, 0), COALESCE(s.output_tokens, 0),
  GREATEST(COALESCE(extract(epoch FROM s.not_before - now()), 0), 0)::float8,
  s.created_at, s.finished_at, COALESCE(s.took_us, 0), COALESCE(s.place, -1)`
)

// trailStart is stepStart for the audit trail, which counts the attempts that
// began: also those whose worker died, and a model call that is running. A
// result without a duration was made without a call, after calls that were
// lost. The fence of a step is s.attempt, or r.attempt for a model call.
const trailStart = stepName + `CASE
  WHEN s.idx > 0 AND s.lost > 0 AND s.took_us = 0 AND s.state <> 'dispatched' THEN s.attempt + s.lost - 1
  WHEN s.idx > 0 THEN s.attempt + s.lost
  WHEN s.state = 'dispatched' AND s.turn = r.turn THEN GREATEST(s.attempt, r.attempt) ELSE s.attempt END`

func rowTargets(r *run.Row, dueIn, remaining, age *float64) []any {
	return []any{
		&r.ID, &r.Tenant, &r.Endpoint, &r.Lane, &r.Model, &r.Status, &r.Stage, &r.Live, &r.Epoch, &r.Turn, &r.Attempt,
		&r.Pending, &r.Failures, &r.Crashes, &r.Outcome, &r.Reason, &r.Trace, &r.CreatedAt, &r.Parent, &r.Conversation,
		&r.Streamed, &r.Unpublished, dueIn, remaining, age,
	}
}

func stepTargets(s *run.Step, dueIn *float64, tookMicros *int64) []any {
	return []any{
		&s.Turn, &s.Index, &s.Kind, &s.Name, &s.Pool, &s.CallID, &s.State, &s.Attempt, &s.Input, &s.InputHash,
		&s.Output, &s.Error, &s.InputTokens, &s.OutputTokens, dueIn, &s.CreatedAt, &s.FinishedAt, tookMicros, &s.Place,
	}
}

func scanRow(rows pgx.CollectableRow) (run.Row, error) {
	var r run.Row
	var dueIn, remaining, age float64
	err := rows.Scan(rowTargets(&r, &dueIn, &remaining, &age)...)
	r.DueIn, r.Remaining, r.Age = postgres.Duration(dueIn), postgres.Duration(remaining), postgres.Duration(age)
	return r, err
}

func scanStep(rows pgx.CollectableRow) (run.Step, error) {
	var s run.Step
	var dueIn float64
	var took int64
	err := rows.Scan(stepTargets(&s, &dueIn, &took)...)
	s.DueIn, s.Took = postgres.Duration(dueIn), time.Duration(took)*time.Microsecond
	return s, err
}
