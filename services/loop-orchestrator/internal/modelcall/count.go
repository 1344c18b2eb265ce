package modelcall

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/loop-orchestrator/internal/dialect"
	"windlass.dev/windlass/services/loop-orchestrator/internal/dialect/chat"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/tokens"
	"windlass.dev/windlass/services/loop-orchestrator/internal/upstream"
)

// countTokens counts the tokens of the call that a response would make. It uses
// none.
func (m *Caller) countTokens(ctx context.Context, p prepared) (run.TurnCommit, error) {
	ctx, cancel := withDeadlines(ctx, p.chain, p.model)
	defer cancel()
	var n responses.InputTokens
	var err error
	if counter, ok := dialect.Named(p.model.Upstream.Dialect).(dialect.TokenCounter); ok {
		n, err = m.queryCount(ctx, p, counter)
	} else {
		n, err = estimateCount(ctx, p.opened)
	}
	if err != nil {
		return run.TurnCommit{}, err
	}
	return run.TurnCommit{Output: n.JSON(), Outcome: run.Completed}, nil
}

// queryCount has the model's upstream count.
func (m *Caller) queryCount(
	ctx context.Context, p prepared, counter dialect.TokenCounter,
) (responses.InputTokens, error) {
	var none responses.InputTokens
	body, err := counter.EncodeCount(p.opened)
	if err != nil {
		return none, invalidPrompt(err.Error())
	}
	b, err := m.Upstream.Post(ctx, p.model.Upstream, counter.CountPath(), body, headers(p.chain))
	if err != nil {
		return none, countFailure(err)
	}
	n, err := counter.DecodeCount(b)
	if err != nil {
		return none, &run.Failure{
			Code: run.CodeServerError, Message: err.Error(), HTTPStatus: http.StatusOK, Retriable: true,
		}
	}
	return responses.InputTokens{Count: n}, nil
}

// countFailure recognizes an upstream that speaks the Responses API without
// this endpoint. Its tokens are not estimated instead, because the client could
// not distinguish an estimate from a count.
func countFailure(err error) error {
	var failed *run.Failure
	missing := []int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented}
	if errors.As(err, &failed) && slices.Contains(missing, failed.HTTPStatus) && failed.Code != run.CodeModelNotFound {
		return uncountable("The upstream of this model does not count tokens.")
	}
	return err
}

// estimateCount counts for an upstream that has no endpoint for it.
func estimateCount(ctx context.Context, call model.Call) (responses.InputTokens, error) {
	var none responses.InputTokens
	body, err := chat.Dialect{}.Encode(call)
	if err != nil {
		return none, invalidPrompt(err.Error())
	}
	n, err := tokens.Chat(ctx, body)
	switch {
	case errors.Is(err, tokens.ErrUncountable):
		return none, uncountable("The tokens of images and files cannot be counted with this model: " +
			"its upstream does not count, and only text can be estimated.")
	case errors.Is(err, upstream.ErrCallTimeout):
		return none, &run.Failure{
			Code: run.CodeTimeout, Message: "The tokens were not counted in time.", Retriable: true,
		}
	case err != nil && ctx.Err() != nil:
		return none, context.Cause(ctx)
	case err != nil:
		return none, &run.Failure{Code: run.CodeServerError, Message: "The tokens could not be counted."}
	}
	return responses.InputTokens{Count: n, Estimated: true}, nil
}

// uncountable is a 400 to the client.
func uncountable(message string) error {
	own := fault.Invalid("", "input_tokens_not_supported", message)
	return &run.Failure{Code: own.Code, Message: message, HTTPStatus: own.Status, Own: own.AppendJSON(nil)}
}
