package responseapi

import (
	"context"
	"net/http"
	"slices"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
	"windlass.dev/windlass/services/gateway/internal/render"
)

// steps is GET /v1/responses/{id}/steps, the audit trail, or one turn of it.
func (s *Server) steps(x *httpapi.Exchange, r *http.Request) error {
	public := r.PathValue("id")
	id, ok := run.ResponseID.Parse(public)
	if !ok {
		return render.NotFound(public)
	}
	turn, err := readTurn(r.URL.Query())
	if err != nil {
		return err
	}
	x.RequestID = run.Hex(id)
	ctx, cancel := query.WithTimeout(r.Context())
	defer cancel()
	steps, err := query.Retry(ctx, s.tasks, func(ctx context.Context) ([]run.Step, error) {
		return s.store.Steps(ctx, x.Who.Tenant, id)
	})
	if err == nil && len(steps) == 0 { // queued, or not there
		_, err = s.find(x, r)
	}
	if err != nil {
		return err
	}
	if err := x.ChargeRead(trailCost); err != nil {
		return err
	}
	shown := render.Trail(steps, "response.step")
	if len(steps) > 0 {
		if err := s.showInputs(ctx, x.Who.Tenant, id, steps, shown.Data, turn); err != nil {
			return err
		}
	}
	if turn > 0 {
		shown.Data = slices.DeleteFunc(shown.Data, func(o render.Step) bool { return o.Turn != turn })
	}
	return x.SendJSON(shown)
}
