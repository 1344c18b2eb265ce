package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/process/failpoint"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
	"windlass.dev/windlass/services/internal/dispatch"
)

// noticeLimit bounds what follows a cancel; the sweep does what was not done by then.
const noticeLimit = 5 * time.Second

// cancel is POST /v1/responses/{id}/cancel. Of a cancel and an end that race, one commit comes first and both callers are told
// what it made.
func (s *server) cancel(x *httpapi.Exchange, r *http.Request) error {
	a, err := s.find(x, r)
	if err != nil {
		return err
	}
	if !a.Background {
		return fault.Invalid("", "", "Cannot cancel a synchronous response.")
	}
	if a.Status.Terminal() {
		return s.show(x, a)
	}
	ctx, stop := query.WithTimeout(r.Context())
	defer stop()
	switch err := s.settleCancelled(ctx, a.Tenant, a.ID); {
	case err == nil:
		a.Status = store.Cancelled
		return s.show(x, a)
	case !errors.Is(err, store.ErrStale):
		return err
	}
	if a, err = s.lookUp(r.Context(), a.Tenant, a.ID); err != nil { // it has ended meanwhile
		return err
	}
	return s.show(x, a)
}

// settleCancelled commits a cancel and has everybody told. ErrStale: the request is not there or has ended. A commit whose
// answer was lost is repeated and then looks stale; the notices are the sweep's in that case.
func (s *server) settleCancelled(ctx context.Context, tenant string, id uuid.UUID) error {
	_, err := query.Retry(ctx, &s.tasks, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, s.store.Settle(ctx, store.Settlement{
			ID: id, Tenant: tenant, Status: store.Cancelled, AfterWork: true,
		})
	})
	if err != nil {
		return err
	}
	failpoint.Hit(failpoint.CancelAfterCommit)
	s.bus.CancelHint(dispatch.BusID(id))
	s.bus.DoneHint(dispatch.BusID(id))
	s.tasks.Go(func() { s.notice(id) })
	return nil
}

// notice publishes what a cancelled row needs and takes its queued commands away. The client has its answer meanwhile.
func (s *server) notice(id uuid.UUID) {
	ctx, cancel := context.WithTimeout(context.Background(), noticeLimit) // outlives the request on purpose
	defer cancel()
	row, err := s.store.Look(ctx, id)
	if err == nil {
		_, err = s.publish.Publish(ctx, false, row)
	}
	if row.Epoch > 0 || err != nil { // a request that was never claimed has no commands
		err = errors.Join(err, s.bus.Purge(ctx, dispatch.BusID(id)))
	}
	if err != nil {
		s.log.Warn("notice of a cancel left to the sweep", zap.String("request_id", dispatch.BusID(id)), zap.Error(err))
	}
}
