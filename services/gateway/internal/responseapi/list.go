package responseapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/services/gateway/internal/cost"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
	"windlass.dev/windlass/services/gateway/internal/render"
)

const (
	// listBytes bounds the responses of one page, except the first.
	listBytes = 8 << 20
	// listLook bounds the search for a page that is not empty.
	listLook = 300 * time.Millisecond
)

// list is GET /v1/responses: the tenant's stored responses, newest first.
func (s *Server) list(x *httpapi.Exchange, r *http.Request) error {
	q, reversed, err := readList(r.URL.Query())
	if err == nil {
		err = httpapi.CheckInclude(r)
	}
	if err != nil {
		return err
	}
	q.Tenant, q.Bytes = x.Who.Tenant, listBytes
	ctx, cancel := query.WithTimeout(r.Context())
	defer cancel()
	found, err := query.Retry(
		ctx, s.tasks, func(ctx context.Context) (answers.Listing, error) { return s.readPage(ctx, q) },
	)
	if err != nil {
		return err
	}
	var size int64
	for _, a := range found.Answers {
		size += cost.Of(a.Body) + int64(2*len(a.Final))
	}
	if err := x.ChargeRead(size); err != nil {
		return err
	}
	some, err := pageOf(found, reversed)
	if err != nil {
		return err
	}
	return x.SendJSON(some)
}

// readPage reads a page. While a page is empty it reads the next one, because
// clients take an empty page for the end.
func (s *Server) readPage(ctx context.Context, q answers.Query) (found answers.Listing, err error) {
	for began := time.Now(); ; {
		found, err = s.stored.List(ctx, q)
		if err != nil || !found.More || len(found.Answers) > 0 || time.Since(began) > listLook {
			return found, err
		}
		q = after(q, found.Next)
	}
}

// after returns the part of a list after an id.
func after(q answers.Query, id uuid.UUID) answers.Query {
	if q.NewestFirst {
		return below(q, id)
	}
	return above(q, id)
}

func below(q answers.Query, id uuid.UUID) answers.Query {
	if bytes.Compare(id[:], q.Below[:]) < 0 {
		q.Below = id
	}
	return q
}

func above(q answers.Query, id uuid.UUID) answers.Query {
	if bytes.Compare(id[:], q.Above[:]) > 0 {
		q.Above = id
	}
	return q
}

// pageOf renders a listing, in reverse if it was read against the order that
// the client wants.
func pageOf(found answers.Listing, reversed bool) (httpapi.Page[json.RawMessage], error) {
	out := httpapi.Page[json.RawMessage]{
		Object: "list", Data: make([]json.RawMessage, len(found.Answers)), HasMore: found.More,
	}
	var ids []string
	for i, a := range found.Answers {
		object, err := render.Response(a)
		if err != nil {
			return out, err
		}
		out.Data[i] = object
		ids = append(ids, run.ResponseID.Format(a.ID))
	}
	if n := len(ids); n > 0 {
		out.FirstID, out.LastID = &ids[0], &ids[n-1]
	}
	if found.More { // the end that the client goes on from, which is the last entry unless the page ended early
		next := run.ResponseID.Format(found.Next)
		out.LastID = &next
	}
	if reversed {
		slices.Reverse(out.Data)
		out.FirstID, out.LastID = out.LastID, out.FirstID
	}
	return out, nil
}
