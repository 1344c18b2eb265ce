package plan

import (
	"encoding/json"

	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run/itemid"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/toolset"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// Draft is a turn while the model speaks. It is told every piece, and tells the events that a client is to see of it; at the end it
// says what follows. It is not safe for concurrent use.
type Draft struct {
	State
	before []event.Event
	base   int             // output items before what the model says
	ids    map[string]bool // call ids in use
	spoken []*spoken       // by output
	record transcript.Record
	commit store.TurnCommit
	client int // calls the client is to make
}

// spoken is one output: the item it becomes, as far as that is known when it begins.
type spoken struct {
	item   item.Item // in progress, as it is opened
	place  int       // in the output
	hosted bool
	argued bool // arguments were told
	script *event.Script
}

// Begin begins the turn.
func Begin(s State) *Draft {
	d := &Draft{State: s, ids: s.callIDs(), base: s.Base()}
	if list, ok := s.list(); ok {
		d.record.Items = append(d.record.Items, list)
		d.before = event.Replay(d.base, list)
		d.base++
	}
	return d
}

// Before is the events that tell what the turn has before the model speaks.
func (d *Draft) Before() []event.Event { return d.before }

// Hear takes a piece of the answer and returns the events that tell it.
func (d *Draft) Hear(piece model.Delta) []event.Event {
	var events []event.Event
	for n := len(d.spoken); n <= piece.Output; n++ { // outputs come in order: there is at most one new
		events = append(events, d.open(n, piece.Kind, piece.Call)...)
	}
	s := d.spoken[piece.Output]
	switch {
	case (piece.Kind == model.Function || piece.Kind == model.Custom) && piece.Call.Arguments != "":
		s.argued = true
		events = append(events, s.script.Argue(piece.Call.Arguments)...)
	case piece.Piece.Type != "":
		events = append(events, s.script.Say(piece.Part, piece.Piece)...)
	}
	return events
}

// open begins an output: its item gets the id and the place that the record will have.
func (d *Draft) open(n int, kind model.Kind, c model.ToolCall) []event.Event {
	s := &spoken{place: d.base + n}
	switch kind {
	case model.Reasoning:
		s.item = item.Reasoning{ID: d.itemID("reasoning", n)}.Item()
	case model.Function, model.Custom:
		call := item.Call{Status: "in_progress", CallID: d.uniqueID(c.ID, n), Namespace: clean(c.Space, 128), Name: clean(c.Name, 128)}
		switch {
		case kind == model.Custom && d.Tools.Custom(call.Namespace, call.Name):
			call.ID = d.itemID("custom_tool_call", n)
			s.item = call.Custom()
		case kind == model.Function && d.Tools.Client(call.Namespace, call.Name):
			call.ID = d.itemID("function_call", n)
			s.item = call.Function()
		default: // a tool that was not offered is called here too: the model is told that there is none
			s.hosted = true
			if call.Namespace != "" { // the registered tools are in none
				call.Namespace, call.Name = "", clean(call.Namespace+"__"+call.Name, 128)
			}
			call.ID, call.ServerLabel = d.itemID("mcp_call", n), toolset.ServerLabel
			s.item = call.MCP()
			s.item.CallID = call.CallID // an mcp_call has none on the wire; its function_call in the record does
		}
	default:
		s.item = item.Message(d.itemID("message", n), "assistant", "in_progress")
	}
	d.spoken = append(d.spoken, s)
	var events []event.Event
	s.script, events = event.Open(event.Place{ItemID: s.item.ID, Output: s.place}, s.item)
	return events
}

// End is what follows from the whole answer: the record to store, the steps to write and, when the loop ends here, the outcome. The
// fence is the caller's to fill in. The events are those that Hear has not told.
func (d *Draft) End(a model.Answer) (transcript.Record, store.TurnCommit, []event.Event) {
	d.record.Usage, d.record.Origin = a.Usage, d.Origin
	d.commit = store.TurnCommit{InputTokens: a.Usage.InputTokens, OutputTokens: a.Usage.OutputTokens}
	cut := a.Finish == model.Length || a.Finish == model.Filtered || a.Finish == model.Other
	if len(a.Outputs) == 0 { // a model that says nothing says an empty message
		a.Outputs = []model.Output{{Kind: model.Message, Parts: []item.Part{{Type: "output_text"}}}}
	}
	var events []event.Event
	for n, o := range a.Outputs {
		if n >= len(d.spoken) {
			events = append(events, d.open(n, o.Kind, o.Call)...)
		}
		if o.Own != nil {
			d.own(len(d.record.Items), o.Own)
		}
		events = append(events, d.finish(d.spoken[n], o, cut)...)
	}
	switch {
	case a.Finish == model.Length:
		d.end(store.Incomplete, "max_output_tokens")
	case a.Finish == model.Filtered:
		d.end(store.Incomplete, "content_filter")
	case a.Finish == model.Other:
		d.end(store.Incomplete, "unknown_finish_reason")
	case len(d.commit.Steps) == 0 || d.client > 0:
		d.end(store.Completed, "")
	case d.spent() != "":
		d.stop(d.spent())
	}
	return d.record, d.commit, events
}

func (d *Draft) end(outcome store.Status, reason string) {
	d.commit.Outcome, d.commit.Reason = outcome, reason
}

// finish records one output and tells what was not told of it.
func (d *Draft) finish(s *spoken, o model.Output, cut bool) []event.Event {
	status := "completed"
	if cut {
		status = "incomplete"
	}
	switch o.Kind {
	case model.Reasoning:
		o.Reasoning.ID = s.item.ID
		return d.keep(s, o.Reasoning.Item())
	case model.Function:
		if model.EmptyArguments(o.Call.Arguments) && !s.argued { // what a client was told stays
			o.Call.Arguments = model.NoArguments
		}
		return d.call(s, o.Call, status)
	case model.Custom:
		return d.call(s, o.Call, status)
	default:
		parts := o.Parts
		if len(parts) == 0 {
			parts = []item.Part{{Type: "output_text"}}
		}
		return d.keep(s, item.Phased(s.item.ID, status, o.Phase, parts...))
	}
}

// own keeps what the upstream attached to the item that is recorded next.
func (d *Draft) own(index int, attached json.RawMessage) {
	if d.record.Own == nil {
		d.record.Own = make(map[int]json.RawMessage)
	}
	d.record.Own[index] = attached
}

func (d *Draft) keep(s *spoken, it item.Item) []event.Event {
	d.record.Items = append(d.record.Items, it)
	return s.script.Close(it)
}

// call records one call and, where it is the server's, writes its step: due, or failed at once with an error the model sees. The record
// has a function_call for both; the client sees a hosted call where it is the server's.
func (d *Draft) call(s *spoken, c model.ToolCall, status string) []event.Event {
	call := item.Call{
		ID: s.item.ID, Status: status, CallID: s.item.CallID, Namespace: s.item.Namespace(), Name: s.item.Name, Arguments: c.Arguments,
	}
	if !s.hosted {
		if status == "completed" {
			d.client++
		}
		if s.item.Type == "custom_tool_call" {
			return d.keep(s, call.Custom())
		}
		return d.keep(s, call.Function())
	}
	shown := call
	shown.ServerLabel = toolset.ServerLabel
	call.ID = itemid.Retype(call.ID, "mcp_call", "function_call")
	d.record.Items = append(d.record.Items, call.Function())
	if model.EmptyArguments(c.Arguments) {
		c.Arguments = model.NoArguments
	}
	registered, known := d.Tools.Server(call.Name)
	step := store.NewStep{
		Index: len(d.commit.Steps) + 1, Name: call.Name, Pool: registered.Pool, CallID: call.CallID,
		Input: []byte(c.Arguments), InputHash: dispatch.InputHash(call.Name, []byte(c.Arguments)), Place: s.place,
	}
	f := d.refuse(c, registered, known, step.Index)
	if status == "incomplete" { // what the model could not finish is not made, and no model sees its result
		f = &transcript.Failure{Code: "incomplete", Message: "The call was not made: the model was cut off in it."}
	}
	if f != nil {
		step.Output, step.Error = f.ForModel(), f.Encode()
	}
	d.commit.Steps = append(d.commit.Steps, step)
	return s.script.Close(shown.MCP())
}
