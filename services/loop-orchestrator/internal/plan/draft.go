package plan

import (
	"encoding/json"

	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/run/itemid"
	"windlass.dev/windlass/services/internal/toolset"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// Draft is a turn while the model answers. It turns each piece of the answer
// into the events that a client sees, and the whole answer into what the turn
// commits. It is not safe for concurrent use.
type Draft struct {
	State
	before  []event.Event
	base    int             // output items before what the model says
	ids     map[string]bool // call ids in use
	outputs []*output       // by output
	record  transcript.Record
	commit  run.TurnCommit
	client  int // calls the client is to make
}

// output is one output of the model: the item that it becomes, as far as it is
// known when the output begins.
type output struct {
	item   item.Item // in progress, as it is opened
	place  int       // of the item in the response's output
	hosted bool
	argued bool // events have shown arguments
	script *event.Script
}

// Begin begins a turn.
func Begin(s State) *Draft {
	d := &Draft{State: s, ids: s.callIDs(), base: s.Base()}
	if list, ok := s.toolList(); ok {
		d.record.Items = append(d.record.Items, list)
		d.before = event.Replay(d.base, list)
		d.base++
	}
	return d
}

// Before returns the events of what precedes the model's answer.
func (d *Draft) Before() []event.Event { return d.before }

// AddDelta takes a piece of the answer and returns its events.
func (d *Draft) AddDelta(piece model.Delta) []event.Event {
	var events []event.Event
	for n := len(d.outputs); n <= piece.Output; n++ { // outputs come in order, so at most one is new
		events = append(events, d.openOutput(n, piece.Kind, piece.Call)...)
	}
	s := d.outputs[piece.Output]
	switch {
	case (piece.Kind == model.Function || piece.Kind == model.Custom) && piece.Call.Arguments != "":
		s.argued = true
		events = append(events, s.script.Argue(piece.Call.Arguments)...)
	case piece.Piece.Type != "":
		events = append(events, s.script.Say(piece.Part, piece.Piece)...)
	}
	return events
}

// openOutput begins an output. Its item gets the id and the place that the
// record will have.
func (d *Draft) openOutput(n int, kind model.Kind, c model.ToolCall) []event.Event {
	s := &output{place: d.base + n}
	switch kind {
	case model.Reasoning:
		s.item = item.Reasoning{ID: d.itemID("reasoning", n)}.Item()
	case model.Function, model.Custom:
		call := item.Call{
			Status: "in_progress", CallID: d.uniqueID(c.ID, n),
			Namespace: clean(c.Space, 128), Name: clean(c.Name, 128),
		}
		switch {
		case kind == model.Custom && d.Tools.Custom(call.Namespace, call.Name):
			call.ID = d.itemID("custom_tool_call", n)
			s.item = call.Custom()
		case kind == model.Function && d.Tools.Client(call.Namespace, call.Name):
			call.ID = d.itemID("function_call", n)
			s.item = call.Function()
		default: // also a tool that was not offered: the model gets an error as its result
			s.hosted = true
			if call.Namespace != "" { // registered tools have no namespace
				call.Namespace, call.Name = "", clean(call.Namespace+"__"+call.Name, 128)
			}
			call.ID, call.ServerLabel = d.itemID("mcp_call", n), toolset.ServerLabel
			s.item = call.MCP()
			s.item.CallID = call.CallID // not on the wire, but of its function_call in the record
		}
	default:
		s.item = item.Message(d.itemID("message", n), "assistant", "in_progress")
	}
	d.outputs = append(d.outputs, s)
	var events []event.Event
	s.script, events = event.Open(event.Place{ItemID: s.item.ID, Output: s.place}, s.item)
	return events
}

// End takes the whole answer. It returns the record to store, the commit with
// the steps and, if the loop ends here, the outcome, and the events that
// AddDelta has not returned yet. The caller fills in the commit's fence.
func (d *Draft) End(a model.Answer) (transcript.Record, run.TurnCommit, []event.Event) {
	d.record.Usage, d.record.Origin = a.Usage, d.Origin
	d.commit = run.TurnCommit{InputTokens: a.Usage.InputTokens, OutputTokens: a.Usage.OutputTokens}
	cut := a.Finish == model.Length || a.Finish == model.Filtered || a.Finish == model.Other
	if len(a.Outputs) == 0 { // an empty answer is an empty message
		a.Outputs = []model.Output{{Kind: model.Message, Parts: []item.Part{{Type: "output_text"}}}}
	}
	var events []event.Event
	for n, o := range a.Outputs {
		if n >= len(d.outputs) {
			events = append(events, d.openOutput(n, o.Kind, o.Call)...)
		}
		if o.Own != nil {
			d.keepOwn(len(d.record.Items), o.Own)
		}
		events = append(events, d.closeOutput(d.outputs[n], o, cut)...)
	}
	switch {
	case a.Finish == model.Length:
		d.endLoop(run.Incomplete, run.CodeMaxOutputTokens)
	case a.Finish == model.Filtered:
		d.endLoop(run.Incomplete, run.CodeContentFilter)
	case a.Finish == model.Other:
		d.endLoop(run.Incomplete, "unknown_finish_reason")
	case len(d.commit.Steps) == 0 || d.client > 0:
		d.endLoop(run.Completed, "")
	case d.spentBudget() != "":
		d.stop(d.spentBudget())
	}
	return d.record, d.commit, events
}

func (d *Draft) endLoop(outcome run.Status, reason string) {
	d.commit.Outcome, d.commit.Reason = outcome, reason
}

// closeOutput records one output and returns its remaining events.
func (d *Draft) closeOutput(s *output, o model.Output, cut bool) []event.Event {
	status := "completed"
	if cut {
		status = "incomplete"
	}
	switch o.Kind {
	case model.Reasoning:
		o.Reasoning.ID = s.item.ID
		return d.keepItem(s, o.Reasoning.Item())
	case model.Function:
		if model.EmptyArguments(o.Call.Arguments) && !s.argued { // events cannot be taken back
			o.Call.Arguments = model.NoArguments
		}
		return d.closeCall(s, o.Call, status)
	case model.Custom:
		return d.closeCall(s, o.Call, status)
	default:
		parts := o.Parts
		if len(parts) == 0 {
			parts = []item.Part{{Type: "output_text"}}
		}
		return d.keepItem(s, item.Phased(s.item.ID, status, o.Phase, parts...))
	}
}

// keepOwn keeps what the upstream attached to the item that is recorded next.
func (d *Draft) keepOwn(index int, attached json.RawMessage) {
	if d.record.Own == nil {
		d.record.Own = make(map[int]json.RawMessage)
	}
	d.record.Own[index] = attached
}

func (d *Draft) keepItem(s *output, it item.Item) []event.Event {
	d.record.Items = append(d.record.Items, it)
	return s.script.Close(it)
}

// closeCall records one call. A call of a registered tool also gets a step:
// due, or failed at once with an error that the model sees. The record has a
// function_call for both kinds; clients see a hosted call for a registered
// tool.
func (d *Draft) closeCall(s *output, c model.ToolCall, status string) []event.Event {
	call := item.Call{
		ID: s.item.ID, Status: status, CallID: s.item.CallID,
		Namespace: s.item.Namespace(), Name: s.item.Name, Arguments: c.Arguments,
	}
	if !s.hosted {
		if status == "completed" {
			d.client++
		}
		if s.item.Type == "custom_tool_call" {
			return d.keepItem(s, call.Custom())
		}
		return d.keepItem(s, call.Function())
	}
	shown := call
	shown.ServerLabel = toolset.ServerLabel
	call.ID = itemid.Retype(call.ID, "mcp_call", "function_call")
	d.record.Items = append(d.record.Items, call.Function())
	if model.EmptyArguments(c.Arguments) {
		c.Arguments = model.NoArguments
	}
	registered, known := d.Tools.Server(call.Name)
	step := run.NewStep{
		Index: len(d.commit.Steps) + 1, Name: call.Name, Pool: registered.Pool, CallID: call.CallID,
		Input: []byte(c.Arguments), InputHash: run.InputHash(call.Name, []byte(c.Arguments)), Place: s.place,
	}
	f := d.refusal(c, registered, known, step.Index)
	if status == "incomplete" { // no model sees the result of a call that was cut off
		f = &run.Failure{Code: run.CodeCallIncomplete, Message: "The call was not made: the model was cut off in it."}
	}
	if f != nil {
		step.Output, step.Error = f.ForModel(), f.Encode()
	}
	d.commit.Steps = append(d.commit.Steps, step)
	return s.script.Close(shown.MCP())
}
