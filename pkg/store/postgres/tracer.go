package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// tracer reports the end of each attempt to connect to the outage and to
// the search for the primary.
type tracer struct {
	outage *outage
	hosts  *hosts
}

// TraceConnectStart implements pgx.ConnectTracer.
func (*tracer) TraceConnectStart(ctx context.Context, _ pgx.TraceConnectStartData) context.Context {
	return ctx
}

// TraceConnectEnd implements pgx.ConnectTracer.
func (t *tracer) TraceConnectEnd(_ context.Context, end pgx.TraceConnectEndData) {
	if end.Err == nil {
		t.outage.recordSuccess()
		return
	}
	t.hosts.forget()
	t.outage.recordFailure(end.Err)
}

type queryTracer struct{}

// WithTracer returns a context whose statements are traced, for tests. A tracer
// that returns a cancelled context keeps its statement from being sent.
func WithTracer(ctx context.Context, t pgx.QueryTracer) context.Context {
	return context.WithValue(ctx, queryTracer{}, t)
}

// TraceQueryStart implements pgx.QueryTracer, which pgx requires of every
// tracer.
func (*tracer) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if t, ok := ctx.Value(queryTracer{}).(pgx.QueryTracer); ok {
		return t.TraceQueryStart(ctx, conn, data)
	}
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (*tracer) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	if t, ok := ctx.Value(queryTracer{}).(pgx.QueryTracer); ok {
		t.TraceQueryEnd(ctx, conn, data)
	}
}
