// Package modelcall makes the model call of a turn and decides what the turn
// commits, for every endpoint: a response, a token count, a compaction, or a
// call whose bodies are passed through.
//
// It promises that a call ends with the request's deadline (test/behaviour:
// TestTheDeadline), and that a turn does not decode again what an earlier turn
// of this process has decoded (loop-orchestrator: TestTheRequestIsDecodedOnce).
// It does not promise that a model is called once: a crash between the answer
// and its commit repeats the call, with the same idempotency key.
package modelcall

import (
	"context"
	"errors"
	"fmt"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/internal/compaction"
	"windlass.dev/windlass/services/internal/toolset"
	"windlass.dev/windlass/services/loop-orchestrator/internal/compact"
	"windlass.dev/windlass/services/loop-orchestrator/internal/dialect"
	"windlass.dev/windlass/services/loop-orchestrator/internal/lineage"
	"windlass.dev/windlass/services/loop-orchestrator/internal/live"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/plan"
	"windlass.dev/windlass/services/loop-orchestrator/internal/upstream"
)

// ErrDeadline is the cause of a call that ended with the request's deadline.
var ErrDeadline = errors.New("the request's deadline passed")

// Caller makes model calls. Safe for concurrent use.
type Caller struct {
	Registry *registry.Registry
	Upstream upstream.Client
	Keys     compaction.Keys
	Lineage  lineage.Reader
	Live     live.Streams
}

// Call makes the model call of a loaded turn and returns what to commit; the
// caller fills in the fence. A *run.Failure is the model's failure; other
// errors are causes of ctx or errors of the store.
func (m *Caller) Call(ctx context.Context, c run.Chain) (run.TurnCommit, error) {
	work := c.Endpoint.Work()
	if work == run.WorkRelay {
		return m.relay(ctx, c)
	}
	p, err := m.prepare(ctx, c)
	if err != nil {
		return run.TurnCommit{}, err
	}
	switch work {
	case run.WorkCompact:
		return m.compactHistory(ctx, p)
	case run.WorkCount:
		return m.countTokens(ctx, p)
	case run.WorkLoop, run.WorkRelay, run.WorkUnknown:
	}
	answer := m.respond
	if p.compacts() {
		answer = m.compactTurn
	}
	commit, err := answer(ctx, p)
	if err == nil && commit.Outcome == "" { // another turn follows
		m.Lineage.Memo.KeepRequest(c, p.state.Request)
	}
	return commit, err
}

// prepared is a turn whose model call can be made.
type prepared struct {
	chain  run.Chain
	model  registry.Model // serves the request
	state  plan.State
	sealed model.Call // with its compaction items as they are stored
	opened model.Call // with what those items hold
}

// prepare reads the request and its history. An error of the request is a
// *run.Failure.
func (m *Caller) prepare(ctx context.Context, c run.Chain) (prepared, error) {
	p := prepared{chain: c}
	request, fault := m.Lineage.Memo.Request(c)
	if fault != nil { // another version of the gateway accepted it
		return p, invalidPrompt(fault.Message)
	}
	var err error
	if p.model, err = m.findModel(c); err != nil {
		return p, err
	}
	p.state = plan.State{
		ID: c.ID, Turn: c.Turn, Request: request, Limits: m.Registry.Limits(), Origin: p.model.Upstream.Origin(),
	}
	if c.Endpoint.Work() != run.WorkCompact { // a compaction offers no tools
		if p.state.Tools, err = toolset.Resolve(request, m.Registry); err != nil {
			return p, invalidPrompt(err.Error())
		}
	}
	if p.state.Earlier, p.state.Turns, err = m.Lineage.Read(ctx, c); err != nil {
		return p, err
	}
	p.sealed = callOf(p.state, p.model, c.Streamed)
	if p.opened, err = compact.Open(m.Keys, c.Tenant, p.sealed); err != nil {
		return p, compactionFailure(err)
	}
	return p, nil
}

func callOf(s plan.State, served registry.Model, streamed bool) model.Call {
	return model.Call{
		Model: served.Upstream.Model, Request: s.Request, Ancestors: s.Earlier, Turns: s.Turns,
		Tools: s.Tools.Offers, Choice: s.Choice(), MaxTokens: s.TokensLeft(), Stream: streamed,
		NoSeal: served.Upstream.NoEncryptedReasoning, Origin: served.Upstream.Origin(),
		Settings: served.Upstream.Effective(),
	}
}

// findModel returns the model that serves a request, or a *run.Failure.
func (m *Caller) findModel(c run.Chain) (registry.Model, error) {
	served, ok := m.Registry.Model(c.Model)
	if !ok {
		message := fmt.Sprintf("The model %q is no longer configured.", c.Model)
		return served, &run.Failure{Code: run.CodeModelNotFound, Message: message}
	}
	return served, nil
}

// encode writes a call in the dialect of the model's upstream.
func (p prepared) encode(call model.Call) ([]byte, error) {
	body, err := dialect.Named(p.model.Upstream.Dialect).Encode(call)
	if err != nil {
		return nil, invalidPrompt(err.Error())
	}
	return body, nil
}

// complete sends an encoded call and reads its answer.
func (m *Caller) complete(ctx context.Context, p prepared, body []byte, listen model.Listen) (model.Answer, error) {
	ctx, cancel := withDeadlines(ctx, p.chain, p.model)
	defer cancel()
	speaks := dialect.Named(p.model.Upstream.Dialect)
	return m.Upstream.Complete(ctx, p.model.Upstream, speaks, body, headers(p.chain), listen)
}

// withDeadlines bounds a call by the request's deadline and by the model's
// timeout.
func withDeadlines(ctx context.Context, c run.Chain, served registry.Model) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.Remaining, ErrDeadline)
	ctx, cancelCall := context.WithTimeoutCause(ctx, served.Timeout, upstream.ErrCallTimeout)
	return ctx, func() {
		cancelCall()
		cancel()
	}
}

// headers are the same for every attempt of a turn.
func headers(c run.Chain) upstream.Headers {
	return upstream.Headers{IdempotencyKey: run.IdempotencyKey(c.ID, c.Turn, 0, ""), Traceparent: c.Trace}
}

func invalidPrompt(message string) *run.Failure {
	return &run.Failure{Code: run.CodeInvalidPrompt, Message: message}
}

// errUnstorable is the failure of a turn whose record cannot be encoded.
var errUnstorable = &run.Failure{Code: run.CodeServerError, Message: "The model's answer cannot be stored."}
