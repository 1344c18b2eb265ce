// Package onecall makes the model call of a request that is only that call: a
// chat completion, a completion, embeddings. The client's body goes to the
// upstream and the upstream's answer to the client; packages relay and compat
// change what must differ. It knows neither the bus nor the store.
package onecall

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses/relay"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/upstream"
)

// Call is one model call.
type Call struct {
	Upstream upstream.Client
	Headers  upstream.Headers
	Model    registry.Model // serves the call
	Endpoint run.Endpoint
	Name     string // of the model, as the client knows it
	Body     []byte // as the client sent it
}

// Do makes the call and returns what to commit; the caller fills in the fence.
// A *run.Failure is the upstream's failure; other errors are causes of ctx.
func (c Call) Do(ctx context.Context) (run.TurnCommit, error) {
	request, err := c.request()
	if err != nil {
		return run.TurnCommit{}, err
	}
	var answer relay.Answer
	joined := relay.Join(c.Endpoint)
	done, err := c.call(ctx, request, func(doc []byte, whole bool) (err error) {
		if !whole && c.Endpoint.Streams() {
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
		return run.TurnCommit{}, err
	case joined != nil && !done && !joined.Whole():
		return run.TurnCommit{}, brokenOff()
	case joined != nil:
		if answer, err = joined.Answer(); err != nil {
			return run.TurnCommit{}, malformed(err)
		}
	}
	return run.TurnCommit{
		Output: answer.JSON(c.Name), Outcome: run.Completed,
		InputTokens: answer.InputTokens, OutputTokens: answer.OutputTokens,
	}, nil
}

func (c Call) call(ctx context.Context, request *relay.Request, hear upstream.OnDocument) (done bool, err error) {
	at := c.Model.Upstream
	body := request.Upstream(at.Model)
	return c.Upstream.ForClientBody(request.Has).Call(ctx, at, c.path(), body, c.Headers, request.Stream, hear)
}

// Stream is Do for a streamed answer; send gets the chunks that the client is
// to see. A failure after the first chunk is final, because another attempt
// cannot go on with the stream.
func (c Call) Stream(ctx context.Context, send func(chunk []byte)) (run.TurnCommit, error) {
	request, err := c.request()
	if err != nil {
		return run.TurnCommit{}, err
	}
	sent, answer := 0, relay.NewStream(request)
	pass := func(chunk []byte) {
		sent++
		send(chunk)
	}
	done, err := c.call(ctx, request, func(doc []byte, whole bool) error {
		if whole {
			return c.splitAnswer(doc, request, answer, pass)
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
	case sent == 0:
		err = malformed(fmt.Errorf("%w: it has no chunks", model.ErrMalformed))
	}
	var failed *run.Failure
	if errors.As(err, &failed) && sent > 0 {
		failed.Retriable = false
	}
	if err != nil {
		return run.TurnCommit{}, err
	}
	return run.TurnCommit{
		Output: fmt.Appendf(nil, `{"chunks":%d}`, sent), Outcome: run.Completed, // the chunks are in the stream
		InputTokens: answer.InputTokens, OutputTokens: answer.OutputTokens,
	}, nil
}

// splitAnswer passes on an answer in one piece as the stream that the client
// asked for.
func (c Call) splitAnswer(doc []byte, request *relay.Request, answer *relay.Stream, pass func(chunk []byte)) error {
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

func brokenOff() *run.Failure {
	return &run.Failure{Code: run.CodeConnection, Message: "The upstream broke off its answer.", Retriable: true}
}

// malformed is the failure of an answer that cannot be read; another attempt
// may do better.
func malformed(err error) *run.Failure {
	return &run.Failure{Code: run.CodeServerError, Message: err.Error(), HTTPStatus: http.StatusOK, Retriable: true}
}

func (c Call) request() (*relay.Request, error) {
	request, fault := relay.Decode(c.Endpoint, c.Body)
	if fault != nil { // another version of the gateway accepted it
		return nil, &run.Failure{Code: run.CodeInvalidPrompt, Message: fault.Message}
	}
	return request, nil
}

func (c Call) path() string { return "/" + string(c.Endpoint) }
