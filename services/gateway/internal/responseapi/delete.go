package responseapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
	"windlass.dev/windlass/services/gateway/internal/render"
)

type deletion struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Deleted bool   `json:"deleted"`
}

// eraseLimit bounds the erasing of a response from the bus.
const eraseLimit = 5 * time.Second

// delete is DELETE /v1/responses/{id}.
func (s *Server) delete(x *httpapi.Exchange, r *http.Request) error {
	a, err := s.find(x, r)
	if err != nil {
		return err
	}
	public := run.ResponseID.Format(a.ID)
	if !a.Status.Terminal() {
		return fault.Invalid("", "response_in_progress", fmt.Sprintf(
			"Cannot delete the response '%s': it is still %s. Cancel it first, or wait for its end.", public,
			a.Status))
	}
	ctx, cancel := query.WithTimeout(r.Context())
	defer cancel()
	tries := 0
	_, err = query.Retry(ctx, s.tasks, func(ctx context.Context) (struct{}, error) {
		tries++
		return struct{}{}, s.retention.Delete(ctx, x.Who.Tenant, a.ID)
	})
	if errors.Is(err, store.ErrStale) && tries == 1 { // another delete came first; of a repeated one it was our own
		return render.NotFound(public)
	}
	if err != nil && !errors.Is(err, store.ErrStale) {
		return err
	}
	s.tasks.Go(func() { s.erase(a.ID) })
	return x.SendJSON(deletion{ID: public, Object: "response", Deleted: true})
}

// erase takes away what the bus still holds of a deleted request. What cannot
// be erased now ends with the streams' own limits.
func (s *Server) erase(id uuid.UUID) {
	ctx, cancel := context.WithTimeout(context.Background(), eraseLimit) // outlives the request on purpose
	defer cancel()
	if err := s.bus.Erase(ctx, run.Hex(id)); err != nil {
		s.log.Warn("deleted request not erased from the bus", zap.String("request_id", run.Hex(id)), zap.Error(err))
	}
}
