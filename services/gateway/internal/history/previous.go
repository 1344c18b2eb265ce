package history

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
	"windlass.dev/windlass/services/gateway/internal/render"
)

// Parent returns the request that c continues, uuid.Nil if it continues none.
// It checks that this one can be continued. Malformed, unknown, deleted and
// unstored ids and those of other tenants give the same error.
func (s *Server) Parent(ctx context.Context, tenant string, c *responses.Create) (uuid.UUID, error) {
	if c.PreviousResponseID == "" {
		return uuid.Nil, nil
	}
	id, ok := run.ResponseID.Parse(c.PreviousResponseID)
	if !ok {
		return uuid.Nil, noPrevious(c.PreviousResponseID)
	}
	ctx, cancel := query.WithTimeout(ctx)
	defer cancel()
	p, err := query.Retry(ctx, s.tasks, func(ctx context.Context) (store.Previous, error) {
		return s.store.Previous(ctx, tenant, id)
	})
	if errors.Is(err, store.ErrNotFound) {
		return uuid.Nil, noPrevious(c.PreviousResponseID)
	}
	if err != nil {
		return uuid.Nil, err
	}
	if f := s.checkParent(c.PreviousResponseID, p); f != nil {
		return uuid.Nil, f
	}
	open, err := render.OpenCalls(p.Final)
	if err != nil {
		return uuid.Nil, fmt.Errorf("read the answer of %s: %w", run.Hex(id), err)
	}
	if f := c.Answers(open); f != nil {
		return uuid.Nil, f
	}
	return id, nil
}

// checkParent refuses a response that cannot be continued.
func (s *Server) checkParent(public string, p store.Previous) *fault.Error {
	refuse := func(code, format string, args ...any) *fault.Error {
		return fault.Invalid("previous_response_id", code, fmt.Sprintf(format, args...))
	}
	switch {
	case !p.Stored:
		return noPrevious(public)
	case !p.Status.Terminal():
		return refuse(run.CodePreviousNotReady,
			"Previous response with id '%s' is still %s. Continue it when it is completed.",
			public, p.Status)
	case p.Status != run.Completed && p.Status != run.Incomplete:
		status := p.Status
		if status == run.Expired {
			status = run.Failed
		}
		return refuse(run.CodePreviousFailed,
			"Previous response with id '%s' is %s and cannot be continued.", public, status)
	case p.Length > store.MaxAncestors:
		return refuse(run.CodePreviousTooLong,
			"Previous response with id '%s' continues too many responses: at most %d can be continued at once.",
			public, store.MaxAncestors)
	case p.Gap != uuid.Nil: // the model would see half a history
		return noPrevious(run.ResponseID.Format(p.Gap))
	case p.Bytes > s.maxBody: // counts as if it were sent as input
		return refuse(run.CodePreviousTooLong,
			"Previous response with id '%s' has too long a history: at most %d bytes can be continued.",
			public, s.maxBody)
	}
	return nil
}

// noPrevious is a 400 and not a 404: the path names another resource.
func noPrevious(id string) *fault.Error {
	return &fault.Error{
		Status: http.StatusBadRequest, Type: "invalid_request_error",
		Code: run.CodePreviousNotFound, Param: "previous_response_id",
		Message: fmt.Sprintf("Previous response with id '%s' not found.", httpapi.Excerpt(id)),
	}
}
