package store

import (
	"context"
	"maps"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/idempotency"
	"windlass.dev/windlass/pkg/store/limits"
	"windlass.dev/windlass/pkg/store/postgres"
)

// guarded reports whether limits, an idempotency key or a conversation may
// refuse the request.
func (n NewRequest) guarded() bool {
	return n.Once.Key != "" || n.Limits.Any() || n.Conversation != uuid.Nil
}

// The statement for groups in which a request is guarded; the plain one is
// cheaper by a fifth.
//
// Conversations: of concurrent accepts on one conversation only one finds the
// version that its caller read, and raises it. Reading found the conversation
// free at that version, and locking it raises the version. changed_by names the
// row that is the lock: any statement that makes the row terminal unlocks it.
//
// Repeats: an accept whose answer was lost is refused neither by a limit that
// it used up itself nor by its own lock.
//
// Limits: requests in flight are counted after the tenant's budget is locked,
// which is why the call of open_requests names the budget's row.
//
// Order: a request that passes its limits and its conversation's check takes
// its key; one that takes its key is written, charged, and takes its
// conversation. Locks are taken in the order conversations, budgets, keys, each
// sorted, then requests. A later part reads the earlier ones, so that any two
// of these statements, and settlements, lock in the same order.
const acceptGuardedSQL = `
WITH asked AS (` + askedFrom + `,
                @conversations::uuid[], @seen::bigint[], @keys::text[], @hashes::bytea[], @nths::int[]` + askedAs + `,
           conversation, seen, key, hash, nth, ord)),
held AS (
  SELECT v.id, v.tenant, v.version, v.changed_by FROM conversations v
   WHERE v.id = ANY (@conversations::uuid[]) ORDER BY v.id FOR UPDATE),
purse AS (
  SELECT b.tenant, extract(epoch FROM b.requests_until - now())::float8 AS debt,
         extract(epoch FROM b.tokens_until - now())::float8 AS token_debt
    FROM budgets b
   WHERE b.tenant = ANY (@limited::text[]) AND (SELECT count(*) FROM held) >= 0 ORDER BY b.tenant FOR UPDATE),
counted AS (
  SELECT l.*, GREATEST(p.debt, 0) AS debt, GREATEST(p.token_debt, 0) AS token_debt,
         CASE WHEN l.most > 0 THEN open_requests(COALESCE(p.tenant, l.tenant), l.most) ELSE 0 END AS open
    FROM unnest(@limited::text[], @costs::float8[], @wholes::float8[], @token_costs::float8[], @token_wholes::float8[],
                @mosts::int[])
      AS l(tenant, cost, whole, token_cost, token_whole, most)
    LEFT JOIN purse p USING (tenant)),
room AS (
  SELECT *, COALESCE(LEAST(CASE WHEN cost > 0 THEN floor((whole - debt) / cost + 0.001) END,
                           CASE WHEN token_cost > 0 AND token_debt >= token_whole THEN 0 END,
                           CASE WHEN most > 0 THEN most - open END), 'infinity') AS n
    FROM counted),
fitting AS (
  SELECT *, NULLIF(conversation, ` + postgres.NilID + `) AS talk
    FROM asked WHERE nth = 0 OR nth <= (SELECT room.n FROM room WHERE room.tenant = asked.tenant)),
free AS (
  SELECT held.id, min(a.ord) AS ord FROM held JOIN fitting a ON a.talk = held.id
   WHERE a.tenant = held.tenant AND a.seen = held.version GROUP BY held.id),
keyed AS (
  INSERT INTO idempotency (tenant, key, hash, made, expires_at)
  SELECT tenant, key, hash, id, now() + make_interval(secs => timeout) + ` + idempotency.TTL + `
    FROM fitting WHERE key <> '' AND (talk IS NULL OR ord IN (SELECT ord FROM free)) ORDER BY tenant, key
  ON CONFLICT (tenant, key) DO NOTHING
  RETURNING made),
n AS (` + starting + `
    FROM fitting a
   WHERE (a.id = ANY (ARRAY(SELECT made FROM keyed)) OR a.key = '') AND (a.talk IS NULL OR a.ord IN (SELECT ord
       FROM free))),
taken AS (
  UPDATE conversations v SET version = v.version + 1, changed_by = n.id
    FROM n WHERE v.id = ANY (@conversations::uuid[]) AND v.id = n.talk),` + writing + `,
charged AS (
  INSERT INTO budgets AS b (tenant, requests_until, token_cost)
  SELECT room.tenant, now() + make_interval(secs => room.cost * used.n), room.token_cost
    FROM (SELECT n.tenant, count(*) AS n FROM n JOIN accepted USING (id) WHERE n.nth > 0 GROUP BY n.tenant) used
    JOIN room USING (tenant)
   WHERE room.cost > 0 OR room.token_cost > 0
   ORDER BY room.tenant
  ON CONFLICT (tenant) DO UPDATE
     SET requests_until = GREATEST(b.requests_until, now()) + (EXCLUDED.requests_until - now()),
         token_cost = EXCLUDED.token_cost
   WHERE EXCLUDED.requests_until > now() OR EXCLUDED.token_cost <> b.token_cost)
SELECT asked.ord, COALESCE(accepted.status, ''),
       COALESCE(asked.nth > room.n, false)
       AND NOT EXISTS (SELECT FROM requests r WHERE r.id = ANY (@ids::uuid[]) AND r.id = asked.id),
       asked.conversation <> ` + postgres.NilID + ` AND asked.ord NOT IN (SELECT ord FROM free)
       AND NOT EXISTS (SELECT FROM held WHERE held.id = asked.conversation AND held.changed_by = asked.id)
       AND NOT EXISTS (SELECT FROM requests r WHERE r.id = ANY (@ids::uuid[]) AND r.id = asked.id),
       COALESCE(room.debt, 0), COALESCE(room.token_debt, 0), COALESCE(room.open, 0)
  FROM asked LEFT JOIN accepted USING (id) LEFT JOIN room USING (tenant)`

func (s *Store) acceptGuarded(ctx context.Context, all []NewRequest) ([]outcome, error) {
	limited, spots := shares(all)
	tenants := postgres.Column(limited, func(s share) string { return s.tenant })
	if err := s.budgets.Open(ctx, tenants); err != nil {
		return nil, err
	}
	rows, err := s.db.Send(ctx, acceptGuardedSQL, guardArgs(all, limited, spots))
	if err != nil {
		return nil, err
	}
	out := make([]outcome, len(all))
	var place int64
	var status string
	var refused, stale bool
	var u limits.Use
	targets := []any{&place, &status, &refused, &stale, &u.Requests, &u.Tokens, &u.InFlight}
	_, err = pgx.ForEachRow(rows, targets, func() error {
		i := place - 1
		at := spots[i]
		var l limits.Limits
		if at.nth > 0 {
			l = limited[at.share].Limits
		}
		switch {
		case refused:
			out[i].refusal = l.Refusal(u, at.nth)
		case stale:
			out[i].refusal = ErrStale
		case status == "" && all[i].Once.Key != "": // it fits and was not written: its key or the request is a repeat
			out[i].refusal = idempotency.ErrUsed
		default:
			out[i] = outcome{started: status == string(run.InProgress), quota: l.Remaining(u, at.nth)}
		}
		return nil
	})
	return out, err
}

func guardArgs(all []NewRequest, limited []share, spots []spot) postgres.Args {
	a := postgres.Args{
		"conversations": postgres.IDs(all, func(n NewRequest) uuid.UUID { return n.Conversation }),
		"seen":          postgres.Column(all, func(n NewRequest) int64 { return n.Seen }),

		"keys":   postgres.Column(all, func(n NewRequest) string { return n.Once.Key }),
		"hashes": postgres.Column(all, func(n NewRequest) []byte { return n.Once.Hash }),
		"nths":   postgres.Column(spots, func(at spot) int { return at.nth }),

		"limited":      postgres.Column(limited, func(s share) string { return s.tenant }),
		"costs":        postgres.Column(limited, func(s share) float64 { return s.Requests.Cost() }),
		"wholes":       postgres.Column(limited, func(s share) float64 { return s.Requests.Whole() }),
		"token_costs":  postgres.Column(limited, func(s share) float64 { return s.Tokens.Cost() }),
		"token_wholes": postgres.Column(limited, func(s share) float64 { return s.Tokens.Whole() }),
		"mosts":        postgres.Column(limited, func(s share) int { return s.InFlight }),
	}
	maps.Copy(a, acceptArgs(all))
	return a
}

// share is what one limited tenant takes of a statement.
type share struct {
	tenant string
	limits.Limits
}

// spot is a request's place in its tenant's share: the nth of it, from 1; 0 if
// it has no limits.
type spot struct {
	share int
	nth   int
}

// shares groups a statement's requests by limited tenant. The limits of a
// tenant's first request apply to all; its requests in flight are counted if
// one of them has that limit.
func shares(all []NewRequest) (limited []share, spots []spot) {
	spots = make([]spot, len(all))
	last := map[string]spot{}
	for i, n := range all {
		if !n.Limits.Any() {
			continue
		}
		at, known := last[n.Tenant]
		if !known {
			at.share = len(limited)
			limited = append(limited, share{n.Tenant, n.Limits})
		}
		limited[at.share].InFlight = max(limited[at.share].InFlight, n.Limits.InFlight)
		at.nth++
		last[n.Tenant], spots[i] = at, at
	}
	return limited, spots
}
