package history

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/conversation"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run/itemid"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
	"windlass.dev/windlass/services/gateway/internal/render"
)

// MaxReferences is how many items one request may name by their ids.
const MaxReferences = 500

const reference = "item_reference"

// Dereference returns body with the items that its references name in their
// places, nil if it has no references. Decode the result again, so that all
// rules hold for the items that were found.
func (s *Server) Dereference(
	ctx context.Context, tenant string, body []byte, c *responses.Create,
) ([]byte, error) {
	l := lookup{tenant: tenant, param: "input"}
	for _, it := range c.Input {
		if it.Type == reference {
			l.want(it.ID)
		}
	}
	if len(l.refs)+len(l.bad) == 0 {
		return nil, nil
	}
	items, err := s.findItems(ctx, &l, c.Input)
	if err != nil {
		return nil, err
	}
	whole, f := responses.WithInput(body, items)
	if f != nil {
		return nil, f
	}
	if int64(len(whole)) > s.maxBody {
		return nil, s.tooLarge("input")
	}
	return whole, nil
}

// ItemsToKeep returns the items that a conversation stores. References are
// replaced by what they name, and an item with the id of a stored item of the
// tenant is that stored item, whatever it contains itself; OpenAI does both.
func (s *Server) ItemsToKeep(ctx context.Context, tenant string, items []item.Item) ([]item.Item, error) {
	if err := s.rules.CheckSealed(tenant, "items", items); err != nil {
		return nil, err
	}
	l := lookup{tenant: tenant, param: "items"}
	seen := map[string]bool{}
	for _, it := range items {
		if it.ID == "" {
			continue
		}
		if seen[it.ID] {
			return nil, conversation.Present()
		}
		seen[it.ID] = true
		l.want(it.ID)
	}
	if len(l.refs)+len(l.bad) == 0 {
		return items, nil
	}
	return s.findItems(ctx, &l, items)
}

// lookup is one search for items by their ids.
type lookup struct {
	tenant string
	param  string // the field of the request that has the references
	refs   []answers.ItemRef
	bad    []string // ids that no item can have
	found  answers.FoundItems
	parsed map[answers.Source]map[string]item.Item // parsed items of each source, by id
}

// want adds an id. An id of ours names the request that the item was made in;
// see package itemid.
func (l *lookup) want(id string) {
	if !item.IsID(id) {
		l.bad = append(l.bad, id)
		return
	}
	ref := answers.ItemRef{ID: id}
	if request, input, ok := itemid.Request(id); ok {
		ref.Request, ref.Answer = request, !input
	}
	l.refs = append(l.refs, ref)
}

// findItems returns items with those that were found in the places of their
// references.
func (s *Server) findItems(ctx context.Context, l *lookup, items []item.Item) ([]item.Item, error) {
	switch {
	case len(l.bad) > 0:
		return nil, l.notFound(l.bad[0])
	case len(l.refs) > MaxReferences:
		return nil, fault.Invalid(l.param, "array_above_max_length", fmt.Sprintf(
			"Too many items are referred to by their ids: at most %d are allowed, but got %d.",
			MaxReferences,
			len(l.refs),
		))
	}
	ctx, cancel := query.WithTimeout(ctx)
	defer cancel()
	found, err := query.Retry(ctx, s.tasks, func(ctx context.Context) (answers.FoundItems, error) {
		return s.answers.FindItems(ctx, l.tenant, l.refs, 2*s.maxBody)
	})
	if errors.Is(err, answers.ErrTooLarge) {
		return nil, s.tooLarge(l.param)
	}
	if err != nil {
		return nil, err
	}
	l.found, l.parsed = found, map[answers.Source]map[string]item.Item{}
	out := make([]item.Item, len(items))
	for i, it := range items {
		stored, ok, err := l.item(it.ID)
		switch {
		case err != nil:
			return nil, err
		case ok:
			out[i] = stored
		case it.Type == reference:
			return nil, l.notFound(it.ID)
		default:
			out[i] = it
		}
	}
	return out, nil
}

// item returns the stored item with an id; ok is false if there is no such
// item.
func (l *lookup) item(id string) (item.Item, bool, error) {
	if data, ok := l.found.Items[id]; ok {
		it, f := item.Parse(data)
		if f != nil {
			return item.Item{}, false, fmt.Errorf("read the stored item %s: %w", id, f)
		}
		return it, true, nil
	}
	request, input, ok := itemid.Request(id)
	source := answers.Source{Request: request, Answer: !input}
	data, there := l.found.Sources[source]
	if !ok || !there {
		return item.Item{}, false, nil
	}
	all, ok := l.parsed[source]
	if !ok {
		items, err := itemsOf(source, data)
		if err != nil {
			return item.Item{}, false, err
		}
		all = make(map[string]item.Item, len(items))
		for _, it := range items {
			all[it.ID] = it
		}
		l.parsed[source] = all
	}
	it, ok := all[id]
	return it, ok, nil
}

// itemsOf parses the items of a request's body or of its final object.
func itemsOf(source answers.Source, data []byte) ([]item.Item, error) {
	if !source.Answer {
		c, f := responses.Decode(data)
		if f != nil {
			return nil, fmt.Errorf("read the body of request %s: %w", source.Request, f)
		}
		return item.StoredInput(source.Request, c.Input), nil
	}
	items, err := render.Output(data)
	if err != nil {
		return nil, fmt.Errorf("read the answer of request %s: %w", source.Request, err)
	}
	return items, nil
}

// notFound is the same for an item that is unknown, not stored or another
// tenant's.
func (l *lookup) notFound(id string) *fault.Error {
	return &fault.Error{
		Status: http.StatusNotFound, Type: "invalid_request_error", Param: l.param,
		Message: fmt.Sprintf("Item with id '%s' not found. Items are not persisted when `store` is set to false. "+
			"Try again with `store` set to true, or remove this item from your input.", httpapi.Excerpt(id)),
	}
}

func (s *Server) tooLarge(param string) *fault.Error {
	return fault.Invalid(param, "string_above_max_length", fmt.Sprintf(
		"The items that are referred to by their ids are too large: at most %d bytes are allowed.", s.maxBody))
}
