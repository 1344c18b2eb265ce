// Package upstream calls model servers. It handles HTTP, the forms in which
// answers come, and the ways in which servers fail; what an answer means is up
// to a dialect.
//
// The first bytes of a body decide how it is read, not its Content-Type and not
// what the request asked for: events, JSON, JSON lines, JSON with something
// behind it, compressed or not (TestForms). An error is found wherever a server
// puts it (TestReportedErrors, and package apierror). A call that is redirected
// on the upstream's own host is sent again unchanged (TestRedirects); no other
// host gets it (TestRedirectsThatAreNotFollowed). A server that asks to wait is
// not called earlier (TestWaits in package apierror). A request that a server
// refuses because of a parameter is changed and sent again (package compat).
//
// A stream that was cut off is not completed: the call fails.
package upstream

import (
	"context"
	"errors"
	"net/http"
	"time"

	"windlass.dev/windlass/pkg/process/shortage"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/upstream/compat"
)

const (
	// maxAnswer bounds an answer in one document, in bytes.
	maxAnswer = 32 << 20
	// maxStream bounds an answer in pieces, each with an envelope of some
	// hundred bytes.
	maxStream = 256 << 20
	// maxError bounds what is read of an error.
	maxError = 256 << 10
	// drainTimeout bounds the wait for the end of a body whose answer is
	// complete. A body that is read to its end leaves its connection usable.
	drainTimeout = time.Second
	// settleTime is the silence after which pieces that make a whole answer
	// count as the end. Some servers send neither a mark nor the end of the
	// body behind them.
	settleTime = 5 * time.Second
)

// Client calls model servers. It is safe for concurrent use.
type Client struct {
	HTTP *http.Client // without a timeout of its own: the context ends a call
	// Memory is what earlier refusals have taught. If it is nil, each call
	// learns for itself.
	Memory *compat.Memory
	// OnLearn is called for each change that a refusal has taught. It may be
	// nil.
	OnLearn func(at registry.Upstream, c compat.Change)
	// Shortage counts what the process lacks; nil counts nothing.
	Shortage *shortage.Watch

	isClients func(member string) bool // see ForClientBody
}

// ErrComplete is what an OnDocument returns after the last document of an
// answer.
var ErrComplete = errors.New("the answer is complete")

// ErrAwaitUsage is what an OnDocument returns if the pieces so far are a whole
// answer, which only its usage may follow.
var ErrAwaitUsage = errors.New("the answer is complete except for its usage")

// ender is a model.Stream that knows when no event follows.
type ender interface{ Ended() bool }

// Complete makes a model call with an encoded body. If listen is not nil, the
// request asks for a stream and listen gets each piece as it comes; an answer
// that comes whole nevertheless is not passed to listen. The error is a
// *run.Failure, or the cause of ctx if that has ended.
func (u Client) Complete(
	ctx context.Context, at registry.Upstream, d model.Dialect, body []byte, h Headers, listen model.Listen,
) (model.Answer, error) {
	streamed := listen != nil
	if listen == nil {
		listen = func(model.Delta) {}
	}
	r := decoder{dialect: d, stream: d.Stream(listen)}
	done, err := u.Call(ctx, at, d.Path(), body, h, streamed, r.addDocument)
	switch {
	case IsConnectionLost(err):
		if a, incomplete := r.stream.Answer(); incomplete == nil {
			return a, nil
		}
		return model.Answer{}, err
	case err != nil:
		return model.Answer{}, err
	case r.whole != nil:
		return *r.whole, nil
	}
	if done {
		r.stream.Done()
	}
	a, err := r.stream.Answer()
	if err != nil {
		return model.Answer{}, incompleteFailure(ctx, err)
	}
	return a, nil
}

// decoder decodes the documents of an answer in a dialect.
type decoder struct {
	dialect model.Dialect
	stream  model.Stream
	whole   *model.Answer // nil if it comes in pieces
}

func (r *decoder) addDocument(doc []byte, whole bool) error {
	if whole {
		a, err := r.dialect.Decode(doc)
		if err != nil {
			return err
		}
		r.whole = &a
		return ErrComplete
	}
	if err := r.stream.Event(doc); err != nil {
		return err
	}
	if e, ok := r.stream.(ender); ok && e.Ended() {
		return ErrComplete
	}
	if _, err := r.stream.Answer(); err == nil {
		return ErrAwaitUsage
	}
	return nil
}

// Post makes a call whose answer is one document. Its errors are those of
// Complete.
func (u Client) Post(
	ctx context.Context, at registry.Upstream, path string, body []byte, h Headers,
) (doc []byte, err error) {
	_, err = u.Call(ctx, at, path, body, h, false, func(data []byte, _ bool) error {
		doc = data
		return ErrComplete
	})
	return doc, err
}

// OnDocument takes the documents of an answer in order. whole reports that the
// document is a whole answer, not a piece of a stream. An error ends the call:
// ErrComplete successfully, ErrAwaitUsage successfully after some silence.
type OnDocument func(doc []byte, whole bool) error

// Call calls a path below the upstream's base and passes the documents of the
// answer on, whatever its form. streamed reports that the body asks for a
// stream. It changes the body to what the upstream accepts, and sends it again
// after a refusal that names what the upstream does not accept (package
// compat). done reports that the upstream marked the end or sent a whole
// answer.
func (u Client) Call(
	ctx context.Context, at registry.Upstream, path string, body []byte, h Headers, streamed bool, on OnDocument,
) (done bool, err error) {
	a := u.newAdaptation(at, compat.Request{Path: path, Body: body, IsClients: u.isClients})
	for again := true; again; {
		answered := false
		done, err = u.callOnce(ctx, at, path, a.nextBody(), a.headers(h), streamed, func(doc []byte, whole bool) error {
			answered = true
			return on(doc, whole)
		})
		if err == nil || answered {
			a.remember()
			break
		}
		again = a.learnFrom(err)
	}
	return done, err
}

func (u Client) callOnce(
	ctx context.Context, at registry.Upstream, path string, body []byte, h Headers, streamed bool, on OnDocument,
) (done bool, err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	a, err := u.send(ctx, at, path, body, h, streamed)
	if err != nil {
		return false, err
	}
	defer a.resp.Body.Close()
	end := time.AfterFunc(settleTime, func() { stop(ErrComplete) })
	end.Stop()
	defer end.Stop()
	a.endIn = func(d time.Duration) { end.Reset(d) }
	if done, err = a.read(ctx, on); errors.Is(err, ErrComplete) {
		return true, nil // the silence behind a whole answer
	}
	if err == nil && !done && ctx.Err() != nil {
		err = callFailure(ctx, ctx.Err())
	}
	return done, err
}

// IsConnectionLost reports whether the network ended a call. The answer so far
// may be whole: some servers reset the connection behind the last piece.
func IsConnectionLost(err error) bool {
	var call *run.Failure
	return errors.As(err, &call) && call.HTTPStatus == 0 && call.Code == run.CodeConnection
}
