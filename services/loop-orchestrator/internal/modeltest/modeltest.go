// Package modeltest checks what clients and records rely on in the answers of a
// dialect. It is for the dialects' fuzz targets.
package modeltest

import (
	"encoding/json"
	"testing"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/internal/toolset"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/plan"
	"windlass.dev/windlass/services/test/streamcheck"
)

// Listener reads answers of a dialect.
type Listener struct {
	dialect model.Dialect
	request *responses.Create
	limits  registry.Limits
	tools   toolset.Toolset
}

// New returns a listener for a request with a function, f, and a custom tool,
// p, of a model whose upstream speaks a dialect.
func New(tb testing.TB, d model.Dialect, speaks string) Listener {
	tb.Helper()
	request, fault := responses.Decode([]byte(
		`{"model":"m","input":"hi","tools":[{"type":"function","name":"f"},{"type":"custom","name":"p"}]}`))
	if fault != nil {
		tb.Fatal(fault)
	}
	upstream := registry.Upstream{URL: "http://h", Dialect: speaks}
	reg, err := registry.New(registry.File{Models: []registry.Model{{Name: "m", Upstream: upstream}}})
	if err != nil {
		tb.Fatal(err)
	}
	tools, err := toolset.Resolve(request, reg)
	if err != nil {
		tb.Fatal(err)
	}
	return Listener{d, request, reg.Limits(), tools}
}

// Stream checks that the dialect either refuses the events, or makes a valid
// stream and a readable record of them.
func (l Listener) Stream(t *testing.T, events [][]byte) {
	t.Helper()
	draft, response, heard := l.begin()
	s := l.dialect.Stream(func(d model.Delta) { heard = append(heard, draft.AddDelta(d)...) })
	for _, e := range events {
		if string(e) == "[DONE]" {
			s.Done()
			break
		}
		if s.Event(e) != nil {
			return
		}
	}
	if a, err := s.Answer(); err == nil {
		l.end(t, draft, response, heard, a)
	}
}

// Whole is Stream for an answer in one piece.
func (l Listener) Whole(t *testing.T, body []byte) {
	t.Helper()
	a, err := l.dialect.Decode(body)
	if err == nil {
		draft, response, heard := l.begin()
		l.end(t, draft, response, heard, a)
	}
}

func (l Listener) begin() (*plan.Draft, responses.Response, []event.Event) {
	draft := plan.Begin(plan.State{
		ID: uuid.Max, Turn: 1, Request: l.request, Tools: l.tools, Limits: l.limits, Origin: origin,
	})
	r := responses.Response{ID: run.ResponseID.Format(uuid.Max), Request: l.request, Status: run.InProgress}
	return draft, r, []event.Event{
		event.Response("response.created", r.JSON()), event.Response("response.in_progress", r.JSON()),
	}
}

func (l Listener) end(t *testing.T, draft *plan.Draft, r responses.Response, heard []event.Event, a model.Answer) {
	t.Helper()
	record, commit, rest := draft.End(a)
	b, err := record.Encode()
	if err != nil {
		t.Fatal(err)
	}
	turns, err := transcript.Turns(run.Chain{Steps: []run.Step{{Turn: 1, State: run.StepDone, Output: b}}})
	if err != nil {
		t.Fatalf("the record cannot be read: %v\n%s", err, b)
	}
	l.encodeNext(t, turns)
	if len(commit.Steps) > 0 {
		return // the next turn closes calls of tools that were not offered
	}
	r.Status, r.Output = run.Completed, transcript.Output(turns)
	heard = append(append(heard, rest...), event.Response("response.completed", r.JSON()))
	var raw []byte
	for n, e := range heard {
		raw = e.AppendFrame(raw, n)
	}
	for _, v := range streamcheck.Check(append(raw, event.Done...)) {
		t.Errorf("%s\n%s", v, raw)
	}
}

// origin is the upstream of every answer.
const origin = "0123456789abcdef"

// encodeNext checks that the next turn can send the recorded turns.
func (l Listener) encodeNext(t *testing.T, turns []transcript.Turn) {
	t.Helper()
	body, err := l.dialect.Encode(model.Call{Model: "m", Request: l.request, Turns: turns, Origin: origin})
	if err != nil || !json.Valid(body) {
		t.Errorf("the next turn cannot be sent: %v\n%s", err, body)
	}
}
