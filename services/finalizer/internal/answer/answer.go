// Package answer builds what a settled request leaves behind: its response
// object and the items that it adds to its conversation. It is pure.
package answer

import (
	"fmt"
	"time"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/internal/transcript"
)

// Assemble builds the response object of a request from its steps. It returns
// nil for an endpoint of one model call, whose step is its answer.
func Assemble(c run.Chain, now time.Time) ([]byte, error) {
	if c.Endpoint != run.Responses {
		return nil, nil
	}
	request, fault := responses.Decode(c.Body)
	if fault != nil {
		return nil, fmt.Errorf("read the request's body: %w", fault)
	}
	turns, err := transcript.Turns(c)
	if err != nil {
		return nil, err
	}
	usage := transcript.Usage(turns)
	r := responses.Response{
		ID: run.ResponseID.Format(c.ID), Request: request, Status: c.Outcome,
		CreatedAt: run.CreatedAt(c.ID), Output: transcript.Output(turns), Usage: &usage,
	}
	switch c.Outcome {
	case run.Completed:
		r.CompletedAt = now
	case run.Incomplete:
		r.Reason = c.Reason
	case run.Failed:
		f := LastFailure(c)
		r.Failure = &run.Failure{Code: f.Code, Message: f.Message}
	default:
		return nil, fmt.Errorf("the outcome %q is not one that the finalizer settles", c.Outcome)
	}
	return r.JSON(), nil
}

// DecidedAt returns when the run was decided: the time that the database
// measured from the accept to the last step's end, behind the time that the
// response shows as its creation.
func DecidedAt(c run.Chain) time.Time {
	last := c.CreatedAt
	for _, s := range c.Steps {
		if s.FinishedAt != nil && s.FinishedAt.After(last) {
			last = *s.FinishedAt
		}
	}
	return run.CreatedAt(c.ID).Add(last.Sub(c.CreatedAt))
}

// LastFailure returns why a failed request failed.
func LastFailure(c run.Chain) run.Failure {
	for i := len(c.Steps) - 1; i >= 0; i-- {
		if s := c.Steps[i]; s.Index == 0 && s.State == run.StepFailed {
			return run.ReadFailure(s.Error)
		}
	}
	return run.Failure{Code: run.CodeServerError, Message: "The request failed."}
}

// Unreadable builds the response object of a request whose record cannot be
// read.
func Unreadable(c run.Chain) []byte {
	return responses.Response{
		ID: run.ResponseID.Format(c.ID), Request: &responses.Create{Model: c.Model, Store: true}, Status: run.Failed,
		CreatedAt: run.CreatedAt(c.ID),
		Failure:   &run.Failure{Code: run.CodeServerError, Message: "The request's record cannot be read."},
	}.JSON()
}
