package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"

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
	some, err := cut(wanted, storedItems(id, c.Input), func(it item.Item) string { return it.ID })
	if err != nil {
		return err
	}
	return s.sendJSON(x, some)
}

// storedItems gives items the form in which they are read, with ids that are the same each time.
func storedItems(request uuid.UUID, input []item.Item) []item.Item {
	all := make([]item.Item, len(input))
	for i, it := range input {
		all[i] = it.Stored(fmt.Sprintf("%s_%s_in%04x", itemPrefix(it.Type), dispatch.BusID(request), i))
	}
	return all
}

// itemPrefix is what ids of items of that type start with.
func itemPrefix(typ string) string {
	switch typ {
	case "message":
		return "msg"
	case "function_call":
		return "fc"
	case "function_call_output":
		return "fco"
	case "reasoning":
		return "rs"
	case "mcp_call":
		return "mcp"
	}
	return "item"
}
