package store

import (
	"context"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// args are a statement's named arguments, as pgx.NamedArgs. Finding the names in a long statement costs as much as encoding its
// arguments, so each text is read once and its order of names kept; the texts are the constants of this package.
type args map[string]any

type plan struct {
	sql   string
	names []string
}

var plans sync.Map // statement → plan

// RewriteQuery implements pgx.QueryRewriter.
func (a args) RewriteQuery(ctx context.Context, conn *pgx.Conn, sql string, _ []any) (string, []any, error) {
	known, ok := plans.Load(sql)
	if !ok {
		p, err := readNames(ctx, conn, sql, a)
		if err != nil {
			return "", nil, err
		}
		known, _ = plans.LoadOrStore(sql, p)
	}
	p := known.(plan)
	values := make([]any, len(p.names))
	for i, name := range p.names {
		values[i] = a[name]
	}
	return p.sql, values, nil
}

// readNames lets pgx number the names, with each name as its own value.
func readNames(ctx context.Context, conn *pgx.Conn, sql string, a args) (plan, error) {
	named := make(pgx.NamedArgs, len(a))
	for name := range a {
		named[name] = name
	}
	numbered, order, err := named.RewriteQuery(ctx, conn, sql, nil)
	if err != nil {
		return plan{}, err
	}
	p := plan{sql: numbered}
	for _, name := range order {
		p.names = append(p.names, name.(string)) // a name nobody gave would be nil: a bug of the statement beside it
	}
	return p, nil
}

// column turns one field of every item into the array a statement unnests.
func column[T, V any](items []T, field func(T) V) []V {
	out := make([]V, len(items))
	for i, item := range items {
		out[i] = field(item)
	}
	return out
}

// ids is column for ids, in the form that pgx encodes without a detour through text.
func ids[T any](items []T, field func(T) uuid.UUID) [][16]byte {
	out := make([][16]byte, len(items))
	for i, item := range items {
		out[i] = field(item)
	}
	return out
}
