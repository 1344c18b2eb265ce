package gateway

import (
	"fmt"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/answers"
)

// render is the response object of a row: the finalizer's bytes, or what
// follows from the request and the row.
func render(a *answers.Answer) ([]byte, error) {
	if a.Final != nil {
		return a.Final, nil
	}
	switch a.Status {
	case run.Queued, run.InProgress, run.Cancelled, run.Expired:
	default:
		return nil, fmt.Errorf("show request %s: it is %s and has no answer", a.ID, a.Status)
	}
	c, f := responses.Decode(a.Body)
	if f != nil {
		return nil, fmt.Errorf("show request %s: its body is not what was accepted", a.ID)
	}
	return object(c, a.ID, a.Status), nil
}

// object is the response object of a request without output. Expired, which
// clients don't know, is a failure.
func object(c *responses.Create, id uuid.UUID, status run.Status) []byte {
	r := responses.Response{ID: run.ResponseID.Format(id), Request: c, Status: status, CreatedAt: run.CreatedAt(id)}
	if status == run.Expired {
		r.Status = run.Failed
		r.Failure = &run.Failure{
			Code: "deadline_exceeded", Message: "The response was not completed before its deadline.",
		}
	}
	return r.JSON()
}
