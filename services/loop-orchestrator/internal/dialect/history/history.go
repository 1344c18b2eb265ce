// Package history walks what a model call sends of a conversation, for all
// dialects: the earlier responses, oldest first, then the request's input and
// the turns so far. It decides what every dialect has to decide alike:
//
//   - What an upstream attached to its outputs goes back to that upstream only.
//   - A call that was cut off before it could be made is not sent.
//   - The results of a turn's tools follow all of its outputs.
//   - A hosted call (mcp_call) is sent as a function call with its output.
//
// TestWalk and TestHostedCall hold that. How an item looks in a request is the
// dialect's to decide.
package history

import (
	"encoding/json"
	"fmt"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// Writer builds a dialect's messages.
type Writer interface {
	// AddItem adds an item of a response's input.
	AddItem(it item.Item) error
	// AddTurn adds what one model call said and the results of its calls.
	AddTurn(t Turn) error
}

// Turn is one model call of the history.
type Turn struct {
	Outputs []Output
	// SameUpstream reports whether the outputs came from the upstream that is
	// called now.
	SameUpstream bool
}

// Output is an output of a turn.
type Output struct {
	item.Item
	// Own is what the upstream attached to the output; nil if nothing, or if
	// the turn came from another upstream.
	Own json.RawMessage
	// Cut marks a call of the client's own tool that the model did not finish.
	// The client was not asked to make it, so the output is not sent.
	Cut bool
	// Result is the output of the tool that Windlass called; nil if it called
	// none.
	Result *string
}

// Walk passes the history of a call to a writer.
func Walk(c model.Call, w Writer) error {
	for _, a := range c.Ancestors {
		if err := walkResponse(c, a.Input, a.Turns, w); err != nil {
			return fmt.Errorf("an earlier response: %w", err)
		}
	}
	return walkResponse(c, c.Request.Input, c.Turns, w)
}

func walkResponse(c model.Call, input []item.Item, turns []transcript.Turn, w Writer) error {
	for i, it := range input {
		if err := w.AddItem(it); err != nil {
			return fmt.Errorf("input[%d]: %w", i, err)
		}
	}
	for _, t := range turns {
		if err := w.AddTurn(newTurn(t, c.Origin)); err != nil {
			return err
		}
	}
	return nil
}

func newTurn(t transcript.Turn, origin string) Turn {
	out := Turn{Outputs: make([]Output, len(t.Items)), SameUpstream: t.Origin != "" && t.Origin == origin}
	for i, it := range t.Items {
		o := Output{Item: it}
		if out.SameUpstream {
			o.Own = t.Own[i]
		}
		step, ran := t.Tools[it.CallID]
		switch it.Type {
		case "function_call":
			o.Cut = it.Status == "incomplete" && !ran
			if ran {
				o.Result = new(string(step.Output))
			}
		case "custom_tool_call":
			o.Cut = it.Status == "incomplete" && !ran
		}
		out.Outputs[i] = o
	}
	return out
}

// HostedCall returns an mcp_call as a function call and the text of its output.
// position makes the call id of an item without an id unique in the request.
func HostedCall(it item.Item, position int) (call model.ToolCall, output string) {
	call = model.ToolCall{Name: it.Name, Arguments: model.Arguments(it.Arguments())}
	if call.ID = transcript.CallID(it.ID); it.ID == "" {
		call.ID = fmt.Sprintf("%shosted_%d", run.ToolCallPrefix, position)
	}
	output, ok := it.Output()
	if !ok {
		output = it.Error()
	}
	return call, output
}

// Unsupported returns the error for an item that a dialect cannot send.
func Unsupported(it item.Item) error {
	return fmt.Errorf("an item of type %q is %w", it.Type, model.ErrUnsupported)
}
