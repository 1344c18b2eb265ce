package gateway

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"

	"windlass.dev/windlass/pkg/responses/fault"
)

const (
	defaultPage = 20
	maxPage     = 100
)

// page is the envelope of a list that is read piece by piece.
type page[T any] struct {
	Object  string  `json:"object"`
	Data    []T     `json:"data"`
	FirstID *string `json:"first_id"` // null when there is none
	LastID  *string `json:"last_id"`
	HasMore bool    `json:"has_more"`
}

// paging is which piece a client wants: up to limit entries behind after, or the last ones ahead of before.
type paging struct {
	limit         int
	oldestFirst   bool
	after, before string
}

func readPaging(q url.Values) (paging, error) {
	p := paging{limit: defaultPage, after: q.Get("after"), before: q.Get("before")}
	switch order := q.Get("order"); order {
	case "", "desc":
	case "asc":
		p.oldestFirst = true
	default:
		return p, fault.Invalid("order", "invalid_value",
			fmt.Sprintf("Invalid value: '%s'. Supported values are: 'asc' and 'desc'.", excerpt(order)))
	}
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		switch {
		case err != nil:
			return p, fault.Invalid("limit", "invalid_type",
				fmt.Sprintf("Invalid type for 'limit': expected an integer, but got '%s' instead.", excerpt(text)))
		case n < 1:
			return p, fault.Invalid("limit", "integer_below_min_value",
				fmt.Sprintf("Invalid 'limit': integer below minimum value. Expected a value >= 1, but got %d instead.", n))
		case n > maxPage:
			return p, fault.Invalid("limit", "integer_above_max_value", fmt.Sprintf(
				"Invalid 'limit': integer above maximum value. Expected a value <= %d, but got %d instead.", maxPage, n))
		}
		p.limit = n
	}
	return p, nil
}

// cut is the piece of all, which is oldest first. id names an entry.
func cut[T any](p paging, all []T, id func(T) string) (page[T], error) {
	if !p.oldestFirst {
		all = slices.Clone(all)
		slices.Reverse(all)
	}
	out := page[T]{Object: "list", Data: []T{}}
	find := func(param, want string) (int, error) {
		at := slices.IndexFunc(all, func(entry T) bool { return id(entry) == want })
		if at < 0 {
			return 0, fault.Invalid(param, "invalid_value", fmt.Sprintf("Item with id '%s' not found.", excerpt(want)))
		}
		return at, nil
	}
	from, to := 0, len(all)
	if p.after != "" {
		at, err := find("after", p.after)
		if err != nil {
			return out, err
		}
		from = at + 1
	}
	if p.before != "" {
		at, err := find("before", p.before)
		if err != nil {
			return out, err
		}
		to = max(at, from)
	}
	if out.HasMore = to-from > p.limit; out.HasMore {
		if p.before != "" && p.after == "" {
			from = to - p.limit
		} else {
			to = from + p.limit
		}
	}
	if out.Data = append(out.Data, all[from:to]...); len(out.Data) > 0 {
		first, last := id(out.Data[0]), id(out.Data[len(out.Data)-1])
		out.FirstID, out.LastID = &first, &last
	}
	return out, nil
}
