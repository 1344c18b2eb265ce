package responseapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/cost"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
	"windlass.dev/windlass/services/gateway/internal/render"
)

// inputItems is GET /v1/responses/{id}/input_items: what the request itself
// brought, not what it continues.
func (s *Server) inputItems(x *httpapi.Exchange, r *http.Request) error {
	public := r.PathValue("id")
	id, ok := run.ResponseID.Parse(public)
	if !ok {
		return render.NotFound(public)
	}
	x.RequestID = run.Hex(id)
	wanted, err := httpapi.ReadPageQuery(r.URL.Query())
	if err == nil {
		err = httpapi.CheckInclude(r)
	}
	if err != nil {
		return err
	}
	ctx, cancel := query.WithTimeout(r.Context())
	defer cancel()
	body, err := query.Retry(
		ctx, s.tasks, func(ctx context.Context) ([]byte, error) { return s.stored.Body(ctx, x.Who.Tenant, id) },
	)
	if errors.Is(err, store.ErrNotFound) {
		return render.NotFound(public)
	}
	if err != nil {
		return err
	}
	if err := x.ChargeRead(cost.Of(body)); err != nil {
		return err
	}
	c, f := responses.Decode(body)
	if f != nil {
		return fmt.Errorf("list the input of request %s: its body is not what was accepted", run.Hex(id))
	}
	some, err := httpapi.Cut(wanted, item.StoredInput(id, c.Input), func(it item.Item) string { return it.ID })
	if err != nil {
		return err
	}
	return x.SendJSON(some)
}
