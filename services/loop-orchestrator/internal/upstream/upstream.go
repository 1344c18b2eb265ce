// Package upstream calls model servers. It knows HTTP, the forms in which
// answers come, and how servers fail; what an answer says is a dialect's.
//
// Promised: what came is read for what it is. The first bytes of a body decide,
// not its Content-Type, nor what was asked for: events, JSON, JSON in lines,
// JSON with something behind it, compressed or not (TestForms). An error is
// found wherever a server puts it (TestReportedErrors, and package apierror). A
// redirected call is sent again as it was, without the credential where another
// host takes it (TestRedirects). A server that asks to wait is not called
// earlier (TestWaits in package apierror).
//
// Not promised: that a stream which was cut is completed. It fails as broken
// off.
package upstream

import (
	"context"
	"errors"
	"net/http"
	"time"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/upstream/compat"
)

const (
	// maxAnswer bounds what is read of an upstream's answer in one piece.
	maxAnswer = 32 << 20
	// maxStream bounds what is read of an answer that comes in pieces, each
	// with an envelope of some hundred bytes.
	maxStream = 256 << 20
	// maxError bounds what is read of an upstream's error.
	maxError = 256 << 10
	// linger bounds how long the end of a body is waited for when the answer in
	// it is complete: a body that was read to its end leaves its connection
	// usable.
	linger = time.Second
	// settle bounds the silence behind pieces that make a whole answer. Some
	// servers send neither a mark nor the end of the body behind them.
	settle = 5 * time.Second
)

// Client calls model servers. Safe for concurrent use.
type Client struct {
	HTTP *http.Client // without a timeout of its own: the context ends a call
	// Memory is what is known about upstreams. nil: each call learns by itself.
	Memory *compat.Memory
	// Learnt is called for each change that a refusal has taught. nil: it is
	// not.
	Learnt func(at registry.Upstream, c compat.Change)

	given func(member string) bool // see Passing
}

// ErrComplete is what a Hear returns after the last document of an answer.
var ErrComplete = errors.New("the answer is complete")

// ErrWhole is what a Hear returns when the pieces so far are a whole answer,
// behind which only its usage may come.
var ErrWhole = errors.New("the answer is whole")

// ender is a model.Stream that knows by itself when nothing follows.
type ender interface{ Ended() bool }

// Complete makes one model call with an encoded body. With listen the answer is
// asked for in pieces, and listen gets each as it comes; an answer that comes
// whole all the same is not passed to listen. A *run.Failure says how the
// call failed; if ctx ended, its cause is returned instead.
func (u Client) Complete(
	ctx context.Context, at registry.Upstream, d model.Dialect, body []byte, h Headers, listen model.Listen,
) (model.Answer, error) {
	streamed := listen != nil
	if listen == nil {
		listen = func(model.Delta) {}
	}
	r := reader{dialect: d, stream: d.Stream(listen)}
	done, err := u.Call(ctx, at, d.Path(), body, h, streamed, r.hear)
	switch {
	case Interrupted(err):
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
		return model.Answer{}, incomplete(ctx, err)
	}
	return a, nil
}

// reader reads the documents of an answer in a dialect.
type reader struct {
	dialect model.Dialect
	stream  model.Stream
	whole   *model.Answer // nil if it comes in pieces
}

func (r *reader) hear(doc []byte, whole bool) error {
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
		return ErrWhole
	}
	return nil
}

// Post makes a call whose answer is one document. Errors are as Complete's.
func (u Client) Post(ctx context.Context, at registry.Upstream, path string, body []byte, h Headers) (doc []byte, err error) {
	_, err = u.Call(ctx, at, path, body, h, false, func(data []byte, _ bool) error {
		doc = data
		return ErrComplete
	})
	return doc, err
}

// Hear takes the documents of an answer in their order. whole tells an answer
// in one piece from a piece of a stream. An error ends the call; ErrComplete
// ends it well, and ErrWhole after a silence.
type Hear func(doc []byte, whole bool) error

// Call makes a call to a path below the upstream's base and passes what is
// answered to hear, whatever form it has. streamed says that the body asks for
// a stream. done: the upstream said that nothing follows, or sent a whole
// answer. The body is changed to what the upstream accepts, and after a refusal
// that says what it does not accept the request is sent again (package compat).
func (u Client) Call(
	ctx context.Context, at registry.Upstream, path string, body []byte, h Headers, streamed bool, hear Hear,
) (done bool, err error) {
	f := u.fitting(at, compat.Request{Path: path, Body: body, Given: u.given})
	for again := true; again; {
		heard := false
		done, err = u.once(ctx, at, path, f.body(), f.headers(h), streamed, func(doc []byte, whole bool) error {
			heard = true
			return hear(doc, whole)
		})
		if err == nil || heard {
			f.learn()
			break
		}
		again = f.again(err)
	}
	return done, err
}

// once is Call without a second try.
func (u Client) once(
	ctx context.Context, at registry.Upstream, path string, body []byte, h Headers, streamed bool, hear Hear,
) (done bool, err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	a, err := u.send(ctx, at, path, body, h, streamed)
	if err != nil {
		return false, err
	}
	defer a.resp.Body.Close()
	end := time.AfterFunc(settle, func() { stop(ErrComplete) })
	end.Stop()
	defer end.Stop()
	a.endIn = func(d time.Duration) { end.Reset(d) }
	if done, err = a.read(ctx, hear); errors.Is(err, ErrComplete) {
		return true, nil // the silence behind a whole answer
	}
	if err == nil && !done && ctx.Err() != nil {
		err = failed(ctx, ctx.Err())
	}
	return done, err
}
