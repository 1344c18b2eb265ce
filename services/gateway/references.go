package gateway

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
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
	"windlass.dev/windlass/services/gateway/internal/render"
)

// maxReferences bounds the items that one request looks up.
const maxReferences = 500

const reference = "item_reference"

// dereference is the body with the items that its references name in their
// places, for good: nobody who reads the request later sees a reference. It is
// to be understood anew, so that all rules hold for what was found. nil: there
// are no references.
func (s *server) dereference(ctx context.Context, tenant string, body []byte, c *responses.Create) ([]byte, error) {
	l := lookup{tenant: tenant, param: "input"}
	for _, it := range c.Input {
		if it.Type == reference {
			l.want(it.ID)
		}
	}
	if len(l.refs)+len(l.bad) == 0 {
		return nil, nil
	}
	items, err := s.lookUpItems(ctx, &l, c.Input)
	if err != nil {
		return nil, err
	}
	whole, f := responses.WithInput(body, items)
	if f != nil {
		return nil, f
	}
	if int64(len(whole)) > s.cfg.MaxBody {
		return nil, s.tooMuch("input")
	}
	return whole, nil
}

// itemsToKeep are the items that a conversation is given. References stand for
// what they name, and an item with the id of one that the tenant has is that
// one, whatever it says itself; both as OpenAI does it.
func (s *server) itemsToKeep(ctx context.Context, tenant string, items []item.Item) ([]item.Item, error) {
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
	return s.lookUpItems(ctx, &l, items)
}

// lookup is a search for items.
type lookup struct {
	tenant string
	param  string // where the references stand
	refs   []store.ItemRef
	bad    []string // ids that no item can have
	found  store.FoundItems
	parsed map[store.Source]map[string]item.Item // items of the sources that were looked into, by id
}

// want adds an id. One of our own names the request that the item was made in;
// see package itemid.
func (l *lookup) want(id string) {
	if !item.IsID(id) {
		l.bad = append(l.bad, id)
		return
	}
	ref := store.ItemRef{ID: id}
	if request, input, ok := itemid.Request(id); ok {
		ref.Request, ref.Answer = request, !input
	}
	l.refs = append(l.refs, ref)
}

// lookUpItems finds what was wanted and returns the items with what was found
// in its places.
func (s *server) lookUpItems(ctx context.Context, l *lookup, items []item.Item) ([]item.Item, error) {
	switch {
	case len(l.bad) > 0:
		return nil, l.notFound(l.bad[0])
	case len(l.refs) > maxReferences:
		return nil, fault.Invalid(l.param, "array_above_max_length", fmt.Sprintf(
			"Too many items are referred to by their ids: at most %d are allowed, but got %d.", maxReferences, len(l.refs)))
	}
	ctx, cancel := query.WithTimeout(ctx)
	defer cancel()
	found, err := query.Retry(ctx, &s.tasks, func(ctx context.Context) (store.FoundItems, error) {
		return s.store.FindItems(ctx, l.tenant, l.refs, 2*s.cfg.MaxBody)
	})
	if errors.Is(err, store.ErrTooLarge) {
		return nil, s.tooMuch(l.param)
	}
	if err != nil {
		return nil, err
	}
	l.found, l.parsed = found, map[store.Source]map[string]item.Item{}
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

// item is what was found for an id, if anything.
func (l *lookup) item(id string) (item.Item, bool, error) {
	if data, ok := l.found.Items[id]; ok {
		it, f := item.Parse(data)
		if f != nil {
			return item.Item{}, false, fmt.Errorf("read the stored item %s: %w", id, f)
		}
		return it, true, nil
	}
	request, input, ok := itemid.Request(id)
	source := store.Source{Request: request, Answer: !input}
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

// itemsOf reads the items of a request's body or of its final object.
func itemsOf(source store.Source, data []byte) ([]item.Item, error) {
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

// notFound answers alike for an item that is unknown, another's, or not stored.
func (l *lookup) notFound(id string) *fault.Error {
	return &fault.Error{
		Status: http.StatusNotFound, Type: "invalid_request_error", Param: l.param,
		Message: fmt.Sprintf("Item with id '%s' not found. Items are not persisted when `store` is set to false. "+
			"Try again with `store` set to true, or remove this item from your input.", httpapi.Excerpt(id)),
	}
}

func (s *server) tooMuch(param string) *fault.Error {
	return fault.Invalid(param, "string_above_max_length",
		fmt.Sprintf("The items that are referred to by their ids are too large: at most %d bytes are allowed.", s.cfg.MaxBody))
}
