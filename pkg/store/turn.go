package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/postgres"
)

// Each table is also looked up by = ANY (@ids), here and elsewhere, so that no
// plan reads more than the rows of these requests, whatever the statistics were
// when the statement was planned.
const commitTurnSQL = `
WITH c AS (
  SELECT * FROM unnest(@ids::uuid[], @epochs::int[], @turns::int[], @attempts::int[], @states::text[],
                       @outputs::bytea[],
                       @errors::bytea[], @tokens_in::bigint[], @tokens_out::bigint[], @took::bigint[],
                       @stages::text[], @pendings::int[], @outcomes::text[], @reasons::text[])
    WITH ORDINALITY
    AS c(id, epoch, turn, attempt, state, output, error, tokens_in, tokens_out, took, stage, pending, outcome,
        reason, ord)),
locked AS (
  SELECT c.ord FROM c JOIN requests r ON r.id = c.id
   WHERE r.id = ANY (@ids::uuid[]) AND r.status = 'in_progress' AND r.stage = 'model'
     AND r.epoch = c.epoch AND r.turn = c.turn AND r.attempt = c.attempt
   ORDER BY r.id FOR UPDATE OF r),
done AS (
  UPDATE steps s
     SET state = c.state, attempt = c.attempt, output = c.output, error = COALESCE(c.error, s.error),
         input_tokens = c.tokens_in, output_tokens = c.tokens_out, took_us = c.took, finished_at = now()
    FROM c JOIN locked USING (ord)
   WHERE s.request_id = ANY (@ids::uuid[]) AND s.request_id = c.id AND s.turn = c.turn AND s.idx = 0
       AND s.state = 'dispatched'
  RETURNING c.ord, c.id, c.turn),
moved AS (
  UPDATE requests r
     SET stage = c.stage, pending = c.pending, outcome = NULLIF(c.outcome, ''), reason = NULLIF(c.reason, ''),
         turn = CASE WHEN c.stage = 'model' THEN r.turn + 1 ELSE r.turn END,
         attempt = 1, failures = 0, crashes = 0, not_before = NULL,
         input_tokens = r.input_tokens + c.tokens_in, output_tokens = r.output_tokens + c.tokens_out,
         changed_at = now(), check_at = now() + interval '4 seconds'
    FROM c JOIN done USING (ord) WHERE r.id = ANY (@ids::uuid[]) AND r.id = c.id
  RETURNING r.id, r.turn, r.stage, r.model),
opened AS (
  INSERT INTO steps (request_id, turn, idx, kind, name, state)
  SELECT id, turn, 0, 'model', model, 'dispatched' FROM moved WHERE stage = 'model'),
asked AS (
  INSERT INTO steps (request_id, turn, idx, kind, name, pool, call_id, input, input_hash, place, state, output,
      error, finished_at)
  SELECT done.id, done.turn, n.idx, 'tool', n.name, n.pool, n.call_id, n.input, n.input_hash, n.place,
         CASE WHEN n.error IS NULL THEN 'dispatched' ELSE 'failed' END, n.output, n.error,
         CASE WHEN n.error IS NULL THEN NULL ELSE now() END
    FROM unnest(@s_ords::bigint[], @s_idx::int[], @s_names::text[], @s_pools::text[], @s_calls::text[],
                @s_inputs::bytea[], @s_hashes::bytea[], @s_places::int[], @s_outputs::bytea[], @s_errors::bytea[])
      AS n(ord, idx, name, pool, call_id, input, input_hash, place, output, error)
    JOIN done USING (ord))
SELECT ord FROM done`

// CommitTurn records the model step, writes the rows of the tool calls and
// decides what follows, in one statement shared with concurrent turns. before
// is the row that the turn was loaded with; the returned row says what is due.
// It returns ErrStale, with nothing written, if the turn has moved on.
func (s *Store) CommitTurn(ctx context.Context, before run.Row, t run.TurnCommit) (run.Row, error) {
	turned, err := s.turns.Do(ctx, t)
	if err != nil {
		return run.Row{}, fmt.Errorf("commit turn %d of %s: %w", t.Turn, uuid.UUID(t.ID), err)
	}
	if !turned {
		return run.Row{}, fmt.Errorf("commit turn %d of %s: %w", t.Turn, uuid.UUID(t.ID), ErrStale)
	}
	return t.After(before), nil
}

type ownedStep struct {
	run.NewStep
	owner int64 // index of the commit, from 1
}

func (s *Store) commitTurns(ctx context.Context, all []run.TurnCommit) ([]bool, error) {
	var steps []ownedStep
	for i, t := range all {
		for _, n := range t.Steps {
			steps = append(steps, ownedStep{NewStep: n, owner: int64(i + 1)})
		}
	}
	args := turnArgs(all)
	addStepArgs(args, steps)
	rows, err := s.db.Send(ctx, commitTurnSQL, args)
	if err != nil {
		return nil, err
	}
	return turned(rows, len(all))
}

func turnArgs(all []run.TurnCommit) postgres.Args {
	return postgres.Args{
		"ids":        postgres.IDs(all, func(t run.TurnCommit) uuid.UUID { return t.ID }),
		"epochs":     postgres.Column(all, func(t run.TurnCommit) int { return t.Epoch }),
		"turns":      postgres.Column(all, func(t run.TurnCommit) int { return t.Turn }),
		"attempts":   postgres.Column(all, func(t run.TurnCommit) int { return t.Attempt }),
		"outputs":    postgres.Column(all, func(t run.TurnCommit) []byte { return t.Output }),
		"errors":     postgres.Column(all, func(t run.TurnCommit) []byte { return t.Error }),
		"tokens_in":  postgres.Column(all, func(t run.TurnCommit) int64 { return t.InputTokens }),
		"tokens_out": postgres.Column(all, func(t run.TurnCommit) int64 { return t.OutputTokens }),
		"took":       postgres.Column(all, func(t run.TurnCommit) int64 { return t.Took.Microseconds() }),
		"stages":     postgres.Column(all, func(t run.TurnCommit) string { return string(t.Stage()) }),
		"pendings":   postgres.Column(all, run.TurnCommit.Due),
		"outcomes":   postgres.Column(all, func(t run.TurnCommit) string { return string(t.Outcome) }),
		"reasons":    postgres.Column(all, func(t run.TurnCommit) string { return t.Reason }),
		"states": postgres.Column(all, func(t run.TurnCommit) string {
			if t.Failed {
				return string(run.StepFailed)
			}
			return string(run.StepDone)
		}),
	}
}

func addStepArgs(a postgres.Args, steps []ownedStep) {
	a["s_ords"] = postgres.Column(steps, func(n ownedStep) int64 { return n.owner })
	a["s_idx"] = postgres.Column(steps, func(n ownedStep) int { return n.Index })
	a["s_names"] = postgres.Column(steps, func(n ownedStep) string { return n.Name })
	a["s_pools"] = postgres.Column(steps, func(n ownedStep) string { return n.Pool })
	a["s_calls"] = postgres.Column(steps, func(n ownedStep) string { return n.CallID })
	a["s_inputs"] = postgres.Column(steps, func(n ownedStep) []byte { return n.Input })
	a["s_hashes"] = postgres.Column(steps, func(n ownedStep) []byte { return n.InputHash })
	a["s_places"] = postgres.Column(steps, func(n ownedStep) int { return n.Place })
	a["s_outputs"] = postgres.Column(steps, func(n ownedStep) []byte { return n.Output })
	a["s_errors"] = postgres.Column(steps, func(n ownedStep) []byte { return n.Error })
}

// turned reports for each of n items whether the statement returned its index.
func turned(rows pgx.Rows, n int) ([]bool, error) {
	places, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, err
	}
	out := make([]bool, n)
	for _, p := range places {
		out[p-1] = true
	}
	return out, nil
}
