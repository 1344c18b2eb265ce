// Package render shows rows as the API's objects: responses, steps and errors
// of requests that are one model call.
//
// A response that failed or whose deadline passed is an object of the status
// failed, with 200: the run is the resource and it has an id. The ends of
// requests that are one model call are HTTP statuses instead, because their
// clients expect no other. A 4xx is the upstream's own, with its type, param
// and code; a failure between this server and the upstream, a refused
// credential included, is a 502, and lateness is a 504
// (TestACallThatFailedIsAnHTTPError in package gateway). Everything that an end
// needs is in the row, so that any gateway can show it.
package render

import (
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
)

// NotFound answers alike for a response's id that is malformed, unknown or
// another tenant's.
func NotFound(id string) *fault.Error {
	return fault.NotFound(fmt.Sprintf("Response with id '%s' not found.", httpapi.Excerpt(id)))
}

// IsCall reports whether a request is one model call, and not a response.
func IsCall(a *answers.Answer) bool { return a.Endpoint != run.Responses }

// Response returns the response object of a row: its final object, or what
// follows from the request and the row's status.
func Response(a *answers.Answer) ([]byte, error) {
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
	return Object(c, a.ID, a.Status), nil
}

// Object returns the response object of a request without output. Clients do
// not know the status expired: they see a failure.
func Object(c *responses.Create, id uuid.UUID, status run.Status) []byte {
	r := responses.Response{ID: run.ResponseID.Format(id), Request: c, Status: status, CreatedAt: run.CreatedAt(id)}
	if status == run.Expired {
		r.Status = run.Failed
		r.Failure = &run.Failure{
			Code: run.CodeDeadlineExceeded, Message: "The response was not completed before its deadline.",
		}
	}
	return r.JSON()
}

// Output reads the items of a final object.
func Output(final []byte) ([]item.Item, error) {
	var object struct {
		Output json.RawMessage `json:"output"`
	}
	if err := json.Unmarshal(final, &object); err != nil {
		return nil, err
	}
	output, f := item.List(object.Output, "output")
	if f != nil {
		return nil, f
	}
	return output, nil
}

// OpenCalls returns the ids of the calls that a final object leaves to the
// client. Calls in the input have their outputs, because otherwise the request
// would have been refused; calls that ran here are items of another type.
func OpenCalls(final []byte) ([]string, error) {
	var object struct {
		Output []struct {
			Type   string
			Status string
			CallID string `json:"call_id"`
		}
	}
	if err := json.Unmarshal(final, &object); err != nil {
		return nil, err
	}
	var open []string
	for _, it := range object.Output {
		called := it.Type == "function_call" || it.Type == "custom_tool_call"
		if called && it.Status != "incomplete" { // a call that was cut off cannot be made
			open = append(open, it.CallID)
		}
	}
	return open, nil
}
