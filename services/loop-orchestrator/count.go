package looporchestrator

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/toolset"
	"windlass.dev/windlass/services/loop-orchestrator/internal/dialect"
	"windlass.dev/windlass/services/loop-orchestrator/internal/dialect/chat"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/tokens"
	"windlass.dev/windlass/services/loop-orchestrator/internal/upstream"
)

// count is think for a request to count tokens: of the call that would be made, nothing is made but the count. It uses no tokens.
func (o *orchestrator) count(ctx context.Context, c store.Chain) (store.TurnCommit, error) {
	var none store.TurnCommit
	request, served, err := o.asked(c)
	if err != nil {
		return none, err
	}
	tools, err := toolset.Resolve(request, o.Registry)
	if err != nil {
		return none, &model.CallError{Code: "invalid_prompt", Message: err.Error()}
	}
	earlier, _, err := o.history(ctx, c)
	if err != nil {
		return none, err
	}
	call, err := o.open(c.Tenant, model.Call{
		Model: served.Upstream.Model, Request: request, Ancestors: earlier, Tools: tools.Offers, Choice: tools.Choice,
		Origin: served.Upstream.Origin(), Settings: served.Upstream.Effective(),
	})
	if err != nil {
		return none, err
	}
	ctx, cancel := inTime(ctx, c, served)
	defer cancel()
	var n responses.InputTokens
	if counter, ok := dialect.Named(served.Upstream.Dialect).(dialect.TokenCounter); ok {
		n, err = o.counted(ctx, c, served, counter, call)
	} else {
		n, err = estimated(ctx, call)
	}
	if err != nil {
		return none, err
	}
	return store.TurnCommit{Output: n.JSON(), Outcome: store.Completed}, nil
}

// counted asks the model's upstream.
func (o *orchestrator) counted(
	ctx context.Context, c store.Chain, served registry.Model, counter dialect.TokenCounter, call model.Call,
) (responses.InputTokens, error) {
	var none responses.InputTokens
	body, err := counter.EncodeCount(call)
	if err != nil {
		return none, &model.CallError{Code: "invalid_prompt", Message: err.Error()}
	}
	b, err := o.upstream.Post(ctx, served.Upstream, counter.CountPath(), body, headersOf(c))
	if err != nil {
		return none, unlessCounting(err)
	}
	n, err := counter.DecodeCount(b)
	if err != nil {
		return none, &model.CallError{Code: "server_error", Message: err.Error(), HTTPStatus: http.StatusOK, Retriable: true}
	}
	return responses.InputTokens{Count: n}, nil
}

// unlessCounting tells of an upstream that speaks the Responses API without this endpoint. It is not estimated instead: who reads the
// number could not know.
func unlessCounting(err error) error {
	var failed *model.CallError
	missing := []int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented}
	if errors.As(err, &failed) && slices.Contains(missing, failed.HTTPStatus) && failed.Code != "model_not_found" {
		return uncountable("The upstream of this model does not count tokens.")
	}
	return err
}

// estimated counts for an upstream that cannot be asked.
func estimated(ctx context.Context, call model.Call) (responses.InputTokens, error) {
	var none responses.InputTokens
	body, err := chat.Dialect{}.Encode(call)
	if err != nil {
		return none, &model.CallError{Code: "invalid_prompt", Message: err.Error()}
	}
	n, err := tokens.Chat(ctx, body)
	switch {
	case errors.Is(err, tokens.ErrUncountable):
		return none, uncountable("The tokens of images and files cannot be counted with this model: its upstream does not count, and only text can be estimated.")
	case errors.Is(err, upstream.ErrCallTimeout):
		return none, &model.CallError{Code: "timeout", Message: "The tokens were not counted in time.", Retriable: true}
	case err != nil && ctx.Err() != nil:
		return none, context.Cause(ctx)
	case err != nil:
		return none, &model.CallError{Code: "server_error", Message: "The tokens could not be counted."}
	}
	return responses.InputTokens{Count: n, Estimated: true}, nil
}

// uncountable is a 400 to the client.
func uncountable(message string) error {
	own := fault.Invalid("", "input_tokens_not_supported", message)
	return &model.CallError{Code: own.Code, Message: message, HTTPStatus: own.Status, Own: own.AppendJSON(nil)}
}
