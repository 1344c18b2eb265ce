// Package onecall makes the model call of a request that is nothing but that call: a chat completion, a completion, embeddings. The
// client's body goes to the upstream and the upstream's answer to the client; see packages relay and compat for what is changed on the way.
package onecall

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses/relay"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/upstream"
)

// Call is one model call.
type Call struct {
	Upstream upstream.Client
	Headers  upstream.Headers
	Model    registry.Model // serves the call
	Endpoint relay.Endpoint
	Name     string // of the model, as the client knows it
	Body     []byte // as the client sent it
}

// Do makes the call and says what is to be committed; the fence is the caller's to fill in. A *model.CallError is the upstream's
// failure; other errors are causes of ctx.
func (c Call) Do(ctx context.Context) (store.TurnCommit, error) {
	request, err := c.request()
	if err != nil {
		return store.TurnCommit{}, err
	}
	var answer relay.Answer
	joined := relay.Join(c.Endpoint)
	done, err := c.call(ctx, request, func(doc []byte, whole bool) (err error) {
		if !whole && c.Endpoint != relay.Embeddings {
			if err = joined.Add(doc); err == nil && joined.Whole() && !request.Several() {
				err = upstream.ErrAwaitUsage
			}
			return err
		}
		if answer, err = relay.ReadAnswer(c.Endpoint, doc); err == nil {
			joined, err = nil, upstream.ErrComplete
		}
		return err
	})
	if joined != nil && joined.Whole() && upstream.IsConnectionLost(err) {
		err = nil
	}
	switch {
	case err != nil:
		return store.TurnCommit{}, err
	case joined != nil && !done && !joined.Whole():
		return store.TurnCommit{}, brokenOff()
	case joined != nil:
		if answer, err = joined.Answer(); err != nil {
			return store.TurnCommit{}, malformed(err)
		}
	}
	return store.TurnCommit{
		Output: answer.JSON(c.Name), Outcome: store.Completed,
		InputTokens: answer.InputTokens, OutputTokens: answer.OutputTokens,
	}, nil
}

func (c Call) call(ctx context.Context, request *relay.Request, hear upstream.OnDocument) (done bool, err error) {
	at := c.Model.Upstream
	return c.Upstream.ForClientBody(request.Has).Call(ctx, at, c.path(), request.Upstream(at.Model), c.Headers, request.Stream, hear)
}

// Stream is Do for an answer that comes chunk by chunk; hear gets those that are the client's. Once it got one, no other attempt can
// take its place: what fails then has failed for good.
func (c Call) Stream(ctx context.Context, hear func(chunk []byte)) (store.TurnCommit, error) {
	request, err := c.request()
	if err != nil {
		return store.TurnCommit{}, err
	}
	heard, answer := 0, relay.NewStream(request)
	pass := func(chunk []byte) {
		heard++
		hear(chunk)
	}
	done, err := c.call(ctx, request, func(doc []byte, whole bool) error {
		if whole {
			return c.split(doc, request, answer, pass)
		}
		chunk, err := answer.Chunk(doc)
		if chunk != nil {
			pass(chunk)
		}
		if err == nil && answer.Whole() && !request.Several() {
			err = upstream.ErrAwaitUsage
		}
		return err
	})
	if answer.Whole() && upstream.IsConnectionLost(err) {
		err = nil
	}
	switch {
	case err != nil:
	case !done && !answer.Whole():
		err = brokenOff()
	case heard == 0:
		err = malformed(fmt.Errorf("%w: it has no chunks", model.ErrMalformed))
	}
	var failed *model.CallError
	if errors.As(err, &failed) && heard > 0 {
		failed.Retriable = false
	}
	if err != nil {
		return store.TurnCommit{}, err
	}
	return store.TurnCommit{
		Output: fmt.Appendf(nil, `{"chunks":%d}`, heard), Outcome: store.Completed, // the chunks are in the stream
		InputTokens: answer.InputTokens, OutputTokens: answer.OutputTokens,
	}, nil
}

// split passes a whole answer on as the stream that was asked for.
func (c Call) split(doc []byte, request *relay.Request, answer *relay.Stream, pass func(chunk []byte)) error {
	whole, err := relay.ReadAnswer(c.Endpoint, doc)
	if err != nil {
		return err
	}
	for _, chunk := range whole.Chunks(request) {
		pass(chunk)
	}
	answer.InputTokens, answer.OutputTokens = whole.InputTokens, whole.OutputTokens
	return upstream.ErrComplete
}

func brokenOff() *model.CallError {
	return &model.CallError{Code: "connection_error", Message: "The upstream broke off its answer.", Retriable: true}
}

// malformed is an answer that cannot be understood; another attempt may do better.
func malformed(err error) *model.CallError {
	return &model.CallError{Code: "server_error", Message: err.Error(), HTTPStatus: http.StatusOK, Retriable: true}
}

func (c Call) request() (*relay.Request, error) {
	request, fault := relay.Decode(c.Endpoint, c.Body)
	if fault != nil { // it was valid when it was accepted: another version of the gateway took it
		return nil, &model.CallError{Code: "invalid_prompt", Message: fault.Message}
	}
	return request, nil
}

func (c Call) path() string { return "/" + string(c.Endpoint) }
