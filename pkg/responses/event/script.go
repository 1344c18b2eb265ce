package event

import (
	"encoding/json"
	"strings"

	"windlass.dev/windlass/pkg/responses/item"
)

// Script writes the events of one item: it is opened, its parts come piece by
// piece, and it is closed. What was not sent piece by piece is sent when the
// item is closed, so that the deltas of a part always add up to the part.
type Script struct {
	place Place
	kind  string // the item's type
	said  map[spot]*said
}

// spot is a part of an item: of its content, its summary or its arguments.
type spot struct {
	list string
	n    int
}

type said struct {
	text  strings.Builder
	notes int // annotations
}

// Open opens an item, in progress and without content.
func Open(at Place, it item.Item) (*Script, []Event) {
	s := &Script{place: at, kind: it.Type, said: map[spot]*said{}}
	events := []Event{at.Added(it)}
	if s.kind == "mcp_call" {
		events = append(events, at.Call("in_progress"))
	}
	return s, events
}

// form is the events of a part of that type.
type form struct{ list, added, delta, done, closed, field string }

const (
	partAdded = "response.content_part.added"
	partDone  = "response.content_part.done"
)

var forms = map[string]form{
	"output_text":    {"content", partAdded, "response.output_text.delta", "response.output_text.done", partDone, "text"},
	"refusal":        {"content", partAdded, "response.refusal.delta", "response.refusal.done", partDone, "refusal"},
	"reasoning_text": {"content", partAdded, "response.reasoning_text.delta", "response.reasoning_text.done", partDone, "text"},
	"summary_text": {
		"summary", "response.reasoning_summary_part.added", "response.reasoning_summary_text.delta",
		"response.reasoning_summary_text.done", "response.reasoning_summary_part.done", "text",
	},
	"function": {"arguments", "", "response.function_call_arguments.delta", "response.function_call_arguments.done", "", "arguments"},
	"custom":   {"arguments", "", "response.custom_tool_call_input.delta", "response.custom_tool_call_input.done", "", "input"},
	"mcp":      {"arguments", "", "response.mcp_call_arguments.delta", "response.mcp_call_arguments.done", "", "arguments"},
}

// Say writes a piece of the n-th part: its Text, and of an output_text its
// Logprobs and new Annotations. The first piece opens the part.
func (s *Script) Say(n int, piece item.Part) []Event {
	f := forms[piece.Type]
	at := s.at(n)
	sofar := s.said[spot{f.list, n}]
	var events []Event
	if sofar == nil {
		sofar = &said{}
		s.said[spot{f.list, n}] = sofar
		if f.added != "" {
			events = append(events, at.Piece(f.added, item.Part{Type: piece.Type}))
		}
	}
	if piece.Text != "" {
		sofar.text.WriteString(piece.Text)
		events = append(events, at.Say(f.delta, "delta", piece.Text, piece.Logprobs))
	}
	return append(events, s.note(at, sofar, piece.Notes())...)
}

func (s *Script) note(at Place, sofar *said, notes []json.RawMessage) []Event {
	var events []Event
	for _, note := range notes {
		events = append(events, at.Annotation(sofar.notes, note))
		sofar.notes++
	}
	return events
}

// Argue writes a piece of a call's arguments, or of its input.
func (s *Script) Argue(piece string) []Event { return s.Say(0, item.Part{Type: s.call(), Text: piece}) }

func (s *Script) call() string {
	switch s.kind {
	case "mcp_call":
		return "mcp"
	case "custom_tool_call":
		return "custom"
	}
	return "function"
}

// Close writes the rest of a complete item and closes it. Of a hosted call it
// writes the arguments only, because the call is closed when it has run.
func (s *Script) Close(it item.Item) []Event {
	var events []Event
	switch it.Type {
	case "message":
		for n, p := range it.Parts() {
			events = append(events, s.end(n, p)...)
		}
	case "reasoning":
		for n, text := range it.Summary() {
			events = append(events, s.end(n, item.Part{Type: "summary_text", Text: text})...)
		}
		for n, p := range it.Parts() {
			events = append(events, s.end(n, p)...)
		}
	case "function_call":
		events = s.end(0, item.Part{Type: "function", Text: it.Arguments()})
	case "custom_tool_call":
		events = s.end(0, item.Part{Type: "custom", Text: it.Input()})
	case "mcp_call":
		return s.end(0, item.Part{Type: "mcp", Text: it.Arguments()})
	}
	return append(events, s.place.Finished(it))
}

// end writes the rest of a part and closes it.
func (s *Script) end(n int, p item.Part) []Event {
	f, known := forms[p.Type]
	if !known {
		return nil
	}
	at, rest, notes := s.at(n), p, p.Notes()
	rest.Annotations = nil
	if sofar := s.said[spot{f.list, n}]; sofar != nil {
		rest.Text, rest.Logprobs = strings.TrimPrefix(p.Text, sofar.text.String()), nil
		notes = notes[min(sofar.notes, len(notes)):]
	}
	events := append(s.Say(n, rest), s.note(at, s.said[spot{f.list, n}], notes)...)
	events = append(events, at.Say(f.done, f.field, p.Text, p.Logprobs))
	if f.closed != "" {
		events = append(events, at.Piece(f.closed, p))
	}
	return events
}

func (s *Script) at(n int) Place {
	p := s.place
	p.Part = n
	return p
}

// Progress writes that a hosted call has ended.
func Progress(at Place, failed bool) Event {
	if failed {
		return at.Call("failed")
	}
	return at.Call("completed")
}

// Replay writes all events of a complete item.
func Replay(output int, it item.Item) []Event {
	at := Place{ItemID: it.ID, Output: output}
	switch it.Type {
	case "message", "reasoning", "function_call", "custom_tool_call", "mcp_call":
	case "mcp_list_tools":
		return at.List(it)
	default: // an item without pieces
		return []Event{at.Added(it), at.Finished(it)}
	}
	s, events := Open(at, Opened(it))
	events = append(events, s.Close(it)...)
	if it.Type == "mcp_call" {
		events = append(events, Progress(at, it.Status != "completed"), at.Finished(it))
	}
	return events
}

// Opened returns an item as it is when it is opened: in progress, and empty.
func Opened(it item.Item) item.Item {
	switch it.Type {
	case "message":
		return item.Message(it.ID, it.Role, "in_progress")
	case "reasoning":
		return item.Reasoning{ID: it.ID}.Item()
	case "function_call":
		return openedCall(it).Function()
	case "custom_tool_call":
		return openedCall(it).Custom()
	case "mcp_call":
		return item.Call{ID: it.ID, Status: "in_progress", ServerLabel: it.ServerLabel, Name: it.Name}.MCP()
	case "mcp_list_tools":
		return item.ToolList(it.ID, it.ServerLabel, nil)
	}
	return it
}

func openedCall(it item.Item) item.Call {
	return item.Call{ID: it.ID, Status: "in_progress", CallID: it.CallID, Namespace: it.Namespace(), Name: it.Name}
}
