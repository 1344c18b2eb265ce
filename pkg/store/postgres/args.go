package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Args are a statement's named arguments, as pgx.NamedArgs. Finding the names
// in a long statement costs as much as encoding its arguments, so Args parses
// each text once and keeps the order of its names. The texts must be constants.
type Args map[string]any

type parsed struct {
	sql   string
	names []string
}

var parsedStatements sync.Map // statement → parsed

// RewriteQuery implements pgx.QueryRewriter.
func (a Args) RewriteQuery(ctx context.Context, conn *pgx.Conn, sql string, _ []any) (string, []any, error) {
	known, ok := parsedStatements.Load(sql)
	if !ok {
		p, err := parseNames(ctx, conn, sql, a)
		if err != nil {
			return "", nil, err
		}
		known, _ = parsedStatements.LoadOrStore(sql, p)
	}
	p := known.(parsed)
	values := make([]any, len(p.names))
	for i, name := range p.names {
		values[i] = a[name]
	}
	return p.sql, values, nil
}

// parseNames makes pgx number the names, with each name as its own value.
func parseNames(ctx context.Context, conn *pgx.Conn, sql string, a Args) (parsed, error) {
	named := make(pgx.NamedArgs, len(a))
	for name := range a {
		named[name] = name
	}
	numbered, order, err := named.RewriteQuery(ctx, conn, sql, nil)
	if err != nil {
		return parsed{}, err
	}
	p := parsed{sql: numbered}
	for _, name := range order {
		p.names = append(p.names, name.(string)) // panics on an argument that the call lacks
	}
	return p, nil
}

// Column turns one field of every item into the array that a statement unnests.
func Column[T, V any](items []T, field func(T) V) []V {
	out := make([]V, len(items))
	for i, item := range items {
		out[i] = field(item)
	}
	return out
}

// IDs is Column for ids, in the form that pgx encodes without converting them
// to text.
func IDs[T any](items []T, field func(T) uuid.UUID) [][16]byte {
	out := make([][16]byte, len(items))
	for i, item := range items {
		out[i] = field(item)
	}
	return out
}

// NilID is uuid.Nil in SQL, which stands for no id.
const NilID = `'00000000-0000-0000-0000-000000000000'::uuid`

// Duration converts the seconds that a statement computed.
func Duration(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second))
}
