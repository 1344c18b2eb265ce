// Package expiry settles requests whose deadline has passed, in any state. An
// expired request stays expired, because the settlement is one update of its
// row. A hint stops work in flight afterwards; it may be lost.
package expiry

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/claimer/internal/periodic"
	"windlass.dev/windlass/services/internal/worker"
)

const (
	interval = time.Second
	batch    = 200
)

// Run expires requests until ctx ends.
func Run(ctx context.Context, w *worker.Worker) {
	periodic.Run(ctx, nil, periodic.Every(interval, func(ctx context.Context) { expireOverdue(ctx, w) }))
}

func expireOverdue(ctx context.Context, w *worker.Worker) {
	ids, err := w.Store.PastDeadline(ctx, batch)
	if err != nil && ctx.Err() == nil {
		w.LogFailure("expiry failed", err)
	}
	for _, id := range ids {
		expire(ctx, w, id)
	}
}

// expire settles a request and notifies its workers and waiting clients.
func expire(ctx context.Context, w *worker.Worker, request uuid.UUID) {
	err := w.Store.Settle(ctx, store.Settlement{
		ID: request, Status: run.Expired, Reason: run.CodeDeadlineExceeded, AfterWork: true,
	})
	switch {
	case errors.Is(err, store.ErrStale):
		return // it ended in another way meanwhile
	case err != nil:
		if ctx.Err() == nil {
			w.LogFailure("request not expired", err)
		}
		return
	}
	id := run.Hex(request)
	w.Log.Info("request expired", zap.String("request_id", id))
	w.Bus.CancelHint(id)
	w.Bus.DoneHint(id)
	row, err := w.Store.Look(ctx, request)
	if err == nil {
		_, err = w.Publish.Publish(ctx, false, row)
	}
	if err != nil && ctx.Err() == nil {
		w.Log.Info("final of an expired request not published, the sweep will", zap.Error(err))
	}
}
