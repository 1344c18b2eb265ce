package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/dispatch"
)

// inputItems is GET /v1/responses/{id}/input_items: what the request itself brought, not what it continues.
func (s *server) inputItems(x *exchange, r *http.Request) error {
	public := r.PathValue("id")
	id, ok := parseID(public)
	if !ok {
		return notFound(public)
	}
	x.requestID = dispatch.BusID(id)
	wanted, err := readPaging(r.URL.Query())
	if err == nil {
		err = includes(r)
	}
	if err != nil {
		return err
	}
	ctx, cancel := patient(r.Context())
	defer cancel()
	body, err := within(ctx, &s.tasks, func(ctx context.Context) ([]byte, error) { return s.store.Body(ctx, x.who.tenant, id) })
	if errors.Is(err, store.ErrNotFound) {
		return notFound(public)
	}
	if err != nil {
		return err
	}
	c, f := responses.Decode(body)
	if f != nil {
		return fmt.Errorf("list the input of request %s: its body is not what was accepted", id)
	}
	some, err := cut(wanted, item.StoredInput(id, c.Input), func(it item.Item) string { return it.ID })
	if err != nil {
		return err
	}
	return s.sendJSON(x, some)
}
