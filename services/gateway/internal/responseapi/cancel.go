package responseapi

import (
	"errors"
	"net/http"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
)

// cancel is POST /v1/responses/{id}/cancel. If a cancel and the response's end
// race, the first commit decides, and both callers get what it made.
func (s *Server) cancel(x *httpapi.Exchange, r *http.Request) error {
	a, err := s.find(x, r)
	if err != nil {
		return err
	}
	if !a.Background {
		return fault.Invalid("", "", "Cannot cancel a synchronous response.")
	}
	if a.Status.Terminal() {
		return s.answers.Show(x, a)
	}
	ctx, stop := query.WithTimeout(r.Context())
	defer stop()
	switch err := s.canceller.Cancel(ctx, a.Tenant, a.ID); {
	case err == nil:
		a.Status = run.Cancelled
		return s.answers.Show(x, a)
	case !errors.Is(err, store.ErrStale):
		return err
	}
	if a, err = s.waiters.LookUp(r.Context(), a.Tenant, a.ID); err != nil { // it has ended since
		return err
	}
	return s.answers.Show(x, a)
}
