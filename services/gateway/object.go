package gateway

import (
	"fmt"
	"strings"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/dispatch"
)

const idPrefix = "resp_"

// publicID is a request's id as clients see it.
func publicID(id uuid.UUID) string { return idPrefix + dispatch.BusID(id) }

// parseID reads what publicID wrote, in that one spelling.
func parseID(public string) (uuid.UUID, bool) {
	digits, ok := strings.CutPrefix(public, idPrefix)
	if !ok {
		return uuid.Nil, false
	}
	id, err := dispatch.RequestID(digits)
	return id, err == nil && publicID(id) == public
}

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
	r := responses.Response{ID: publicID(id), Request: c, Status: status, CreatedAt: dispatch.CreatedAt(id)}
	if status == store.Expired {
		r.Status = run.Failed
		r.Failure = &run.Failure{
			Code: "deadline_exceeded", Message: "The response was not completed before its deadline.",
		}
	}
	return r.JSON()
}
