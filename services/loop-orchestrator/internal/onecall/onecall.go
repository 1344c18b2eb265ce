// Package onecall makes the model call of a request that is nothing but that call: a chat completion, a completion, embeddings. The
// client's body goes to the upstream and the upstream's answer to the client; see package relay for what is changed on the way.
package onecall

import (
	"context"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses/relay"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/upstream"
)

// Do makes the call of a loaded request and says what is to be committed; the fence is the caller's to fill in. A *model.CallError
// is the upstream's failure; other errors are causes of ctx.
func Do(ctx context.Context, u upstream.Client, m registry.Model, e relay.Endpoint, c store.Chain) (store.TurnCommit, error) {
	request, fault := relay.Decode(e, c.Body)
	if fault != nil { // it was valid when it was accepted: another version of the gateway took it
		return store.TurnCommit{}, &model.CallError{Code: "invalid_prompt", Message: fault.Message}
	}
	b, err := u.Post(ctx, m.Upstream, "/"+string(e), request.Upstream(m.Upstream.Model), upstream.Headers{
		IdempotencyKey: dispatch.IdempotencyKey(c.ID, c.Turn, 0, ""), Traceparent: c.Trace,
	})
	if err != nil {
		return store.TurnCommit{}, err
	}
	answer, err := relay.ReadAnswer(e, b)
	if err != nil {
		return store.TurnCommit{}, &model.CallError{Code: "server_error", Message: err.Error(), HTTPStatus: 200, Retriable: true}
	}
	return store.TurnCommit{
		Output: answer.JSON(c.Model), Outcome: store.Completed,
		InputTokens: answer.InputTokens, OutputTokens: answer.OutputTokens,
	}, nil
}
