package idempotency

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/retry"
	"windlass.dev/windlass/pkg/store"
	keystore "windlass.dev/windlass/pkg/store/idempotency"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
)

// makeOnce runs a handler that accepts no request while it holds the key, and
// keeps its answer for repeats. Refusals are not kept.
func (s *Keys) makeOnce(x *httpapi.Exchange, r *http.Request, h httpapi.Handler) error {
	seen, err := s.hold(r.Context(), x)
	switch {
	case err != nil:
		return err
	case seen != nil && !bytes.Equal(seen.Hash, x.Once.Hash):
		return keyReused(x)
	case seen != nil:
		x.Header().Set(replayedHeader, "true")
		x.Send(seen.Status, seen.Answer)
		return nil
	}
	err = h(x, r)
	s.release(x, err)
	return err
}

// hold takes the exchange's key, or returns what was made with it. It waits
// while another exchange holds the key.
func (s *Keys) hold(ctx context.Context, x *httpapi.Exchange) (*keystore.Use, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make an id: %w", err)
	}
	until := time.Now().Add(holdTime + query.Timeout)
	for {
		made, err := s.tryHold(ctx, x, id)
		if err == nil {
			x.Fresh = made
			return nil, nil
		}
		if !errors.Is(err, keystore.ErrUsed) {
			return nil, err
		}
		seen, err := s.lookUp(ctx, x)
		if err == nil && (seen.Status != 0 || !bytes.Equal(seen.Hash, x.Once.Hash)) {
			return seen, nil
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) { // not found: it was released meanwhile
			return nil, err
		}
		if time.Now().After(until) {
			return nil, fault.Unavailable(httpapi.RetryAfter) // several holders died, one after the other
		}
		if !retry.Sleep(ctx, holdPause) {
			return nil, httpapi.ErrHungUp
		}
	}
}

func (s *Keys) tryHold(ctx context.Context, x *httpapi.Exchange, id uuid.UUID) (uuid.UUID, error) {
	ctx, cancel := query.WithTimeout(ctx)
	defer cancel()
	tries := 0
	return query.Retry(ctx, s.tasks, func(ctx context.Context) (uuid.UUID, error) {
		tries++
		made, err := s.store.Hold(ctx, x.Who.Tenant, x.Once, id, holdTime)
		if tries > 1 && errors.Is(err, keystore.ErrUsed) { // maybe by our own first try, whose answer was lost
			if seen, err := s.store.Read(
				ctx,
				x.Who.Tenant,
				x.Once.Key,
			); err == nil && seen.ID == id &&
				seen.Status == 0 {
				return id, nil
			}
		}
		return made, err
	})
}

// release ends a hold and keeps the answer for repeats. If that fails the hold
// ends by itself.
func (s *Keys) release(x *httpapi.Exchange, failed error) {
	ctx, cancel := query.WithTimeout(context.Background()) // the client may have gone
	defer cancel()
	_, err := query.Retry(ctx, s.tasks, func(ctx context.Context) (struct{}, error) {
		answer := x.Sent
		if x.Kept != nil {
			answer = x.Kept
		}
		if failed == nil && answer != nil && len(answer) <= maxKept && x.Status < http.StatusBadRequest {
			return struct{}{}, s.store.Complete(ctx, x.Who.Tenant, x.Once.Key, x.Fresh, x.Status, answer)
		}
		nothing := failed != nil && httpapi.FaultOf(failed).Status < http.StatusInternalServerError
		return struct{}{}, s.store.Release(ctx, x.Who.Tenant, x.Once.Key, x.Fresh, !nothing)
	})
	if err != nil && !errors.Is(err, store.ErrStale) {
		s.log.Warn("idempotency key left held", zap.String("delivery", x.ID), zap.Error(err))
	}
}
