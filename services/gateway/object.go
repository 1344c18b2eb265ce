package gateway

import (
	"fmt"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/publicid"
	"windlass.dev/windlass/services/internal/dispatch"
)

// render is the response object of a row: the finalizer's bytes, or what follows from the request and the row.
func render(a *store.Answer) ([]byte, error) {
	if a.Final != nil {
		return a.Final, nil
	}
	switch a.Status {
	case store.Queued, store.InProgress, store.Cancelled, store.Expired:
	default:
		return nil, fmt.Errorf("show request %s: it is %s and has no answer", a.ID, a.Status)
	}
	c, f := responses.Decode(a.Body)
	if f != nil {
		return nil, fmt.Errorf("show request %s: its body is not what was accepted", a.ID)
	}
	return object(c, a.ID, a.Status), nil
}

// object is the response object of a request without output. Expired, which clients don't know, is a failure.
func object(c *responses.Create, id uuid.UUID, status store.Status) []byte {
	r := responses.Response{ID: publicid.Response(id), Request: c, Status: responses.Status(status), CreatedAt: dispatch.CreatedAt(id)}
	if status == store.Expired {
		r.Status = responses.Failed
		r.Failure = &responses.Failure{
			Code: "deadline_exceeded", Message: "The response was not completed before its deadline.",
		}
	}
	return r.JSON()
}
