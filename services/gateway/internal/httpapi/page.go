package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/fault"
)

const (
	defaultPage = 20
	maxPage     = 100
)

// Page is the envelope of a list that is read piece by piece.
type Page[T any] struct {
	Object  string  `json:"object"`
	Data    []T     `json:"data"`
	FirstID *string `json:"first_id"` // null if the page is empty
	LastID  *string `json:"last_id"`
	HasMore bool    `json:"has_more"`
}

// PageQuery is which piece a client wants: up to limit entries behind after, or
// the last ones ahead of before.
type PageQuery struct {
	Limit         int
	OldestFirst   bool
	After, Before string
}

// ReadPageQuery reads limit, order, after and before. A wrong value is a 400.
func ReadPageQuery(q url.Values) (PageQuery, error) {
	p := PageQuery{Limit: defaultPage, After: q.Get("after"), Before: q.Get("before")}
	switch order := q.Get("order"); order {
	case "", "desc":
	case "asc":
		p.OldestFirst = true
	default:
		return p, fault.Invalid("order", "invalid_value",
			fmt.Sprintf("Invalid value: '%s'. Supported values are: 'asc' and 'desc'.", Excerpt(order)))
	}
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		switch {
		case err != nil:
			return p, fault.Invalid("limit", "invalid_type",
				fmt.Sprintf("Invalid type for 'limit': expected an integer, but got '%s' instead.", Excerpt(text)))
		case n < 1:
			return p, fault.Invalid("limit", "integer_below_min_value", fmt.Sprintf(
				"Invalid 'limit': integer below minimum value. Expected a value >= 1, but got %d instead.", n))
		case n > maxPage:
			return p, fault.Invalid("limit", "integer_above_max_value", fmt.Sprintf(
				"Invalid 'limit': integer above maximum value. Expected a value <= %d, but got %d instead.",
				maxPage,
				n,
			))
		}
		p.Limit = n
	}
	return p, nil
}

// Cut is the piece of all, which is oldest first. id names an entry.
func Cut[T any](p PageQuery, all []T, id func(T) string) (Page[T], error) {
	if !p.OldestFirst {
		all = slices.Clone(all)
		slices.Reverse(all)
	}
	out := Page[T]{Object: "list", Data: []T{}}
	find := func(param, want string) (int, error) {
		at := slices.IndexFunc(all, func(entry T) bool { return id(entry) == want })
		if at < 0 {
			return 0, fault.Invalid(param, "invalid_value", fmt.Sprintf("Item with id '%s' not found.", Excerpt(want)))
		}
		return at, nil
	}
	from, to := 0, len(all)
	if p.After != "" {
		at, err := find("after", p.After)
		if err != nil {
			return out, err
		}
		from = at + 1
	}
	if p.Before != "" {
		at, err := find("before", p.Before)
		if err != nil {
			return out, err
		}
		to = max(at, from)
	}
	if out.HasMore = to-from > p.Limit; out.HasMore {
		if p.Before != "" && p.After == "" {
			from = to - p.Limit
		} else {
			to = from + p.Limit
		}
	}
	if out.Data = append(out.Data, all[from:to]...); len(out.Data) > 0 {
		first, last := id(out.Data[0]), id(out.Data[len(out.Data)-1])
		out.FirstID, out.LastID = &first, &last
	}
	return out, nil
}

// List is the envelope of a list that is sent whole.
type List[T any] struct {
	Object  string `json:"object"`
	Data    []T    `json:"data"`
	HasMore bool   `json:"has_more"`
}

// CheckInclude checks the query parameter include. Responses and items are sent
// with all that they hold, so that it changes nothing else.
func CheckInclude(r *http.Request) error {
	q := r.URL.Query()
	if f := responses.Includable(append(q["include"], q["include[]"]...)); f != nil {
		return f
	}
	return nil
}
