// Package event builds the events of a response's stream.
//
// An event has no sequence number: its writer does not know how many came
// before. The number is added when the event is sent, so that all readers of
// one stream get the same bytes.
//
// Types and fields are those of the Open Responses specification (release
// 2026-04-24), with exceptions that OpenAI's SDKs need: calls of hosted tools
// have the mcp_call events, lists of them the mcp_list_tools events, and a
// model's own reasoning has the names reasoning_text.delta and
// reasoning_text.done. The error event has the fields of both dialects.
package event

import (
	"strconv"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/internal/raw"
	"windlass.dev/windlass/pkg/responses/item"
)

// Event is one event. Data is the members of its JSON after type and sequence
// number, without braces and on one line; an event without a type is a chunk of
// another API, and Data is all of it.
type Event struct {
	Type string
	Data []byte
}

// Done ends every stream.
const Done = "data: [DONE]\n\n"

// AppendFrame appends the event as a frame of a stream of server-sent events,
// with its sequence number, which starts at 0.
func (e Event) AppendFrame(b []byte, place int) []byte {
	if e.Type == "" {
		b = append(b, "data: "...)
		b = append(b, e.Data...)
		return append(b, "\n\n"...)
	}
	b = append(b, "event: "...)
	b = append(b, e.Type...)
	b = append(b, "\ndata: "...)
	b = e.AppendJSON(b, place)
	return append(b, "\n\n"...)
}

// AppendJSON appends the event's JSON with its sequence number.
func (e Event) AppendJSON(b []byte, place int) []byte {
	if e.Type == "" {
		return append(b, e.Data...)
	}
	b = append(b, `{"type":"`...)
	b = append(b, e.Type...)
	b = append(b, `","sequence_number":`...)
	b = strconv.AppendInt(b, int64(place), 10)
	if len(e.Data) > 0 {
		b = append(b, ',')
		b = append(b, e.Data...)
	}
	return append(b, '}')
}

// Response is an event that shows the whole response object: response.created,
// response.completed and the like.
func Response(typ string, object []byte) Event {
	b := make([]byte, 0, len(object)+16)
	b = append(b, `"response":`...)
	return Event{typ, append(b, object...)}
}

// Error returns the error event. One of type response.failed, or the end of the
// stream, follows it.
func Error(f *fault.Error) Event {
	b := append([]byte(nil), `"code":`...)
	b = raw.AppendTextOrNull(b, f.Code)
	b = append(b, `,"message":`...)
	b = raw.AppendText(b, f.Message)
	b = append(b, `,"param":`...)
	b = raw.AppendTextOrNull(b, f.Param)
	b = append(b, `,"error":`...)
	return Event{"error", f.AppendJSON(b)}
}

// Place is an item of a response's output, and a part of that item.
type Place struct {
	ItemID string
	Output int
	Part   int // of the content or the summary
}

// Added returns the event that opens an item.
func (p Place) Added(it item.Item) Event { return p.item("response.output_item.added", it) }

// Finished returns the event that closes an item.
func (p Place) Finished(it item.Item) Event { return p.item("response.output_item.done", it) }

func (p Place) item(typ string, it item.Item) Event {
	b := append(make([]byte, 0, len(it.JSON())+32), `"output_index":`...)
	b = strconv.AppendInt(b, int64(p.Output), 10)
	b = append(b, `,"item":`...)
	return Event{typ, append(b, it.JSON()...)}
}

// Call returns an event in the life of a hosted call: in_progress, completed or
// failed.
func (p Place) Call(state string) Event { return Event{"response.mcp_call." + state, p.head(96)} }

// List returns all events of a list of a server's tools.
func (p Place) List(it item.Item) []Event {
	return []Event{
		p.Added(Opened(it)),
		{"response.mcp_list_tools.in_progress", p.head(96)},
		{"response.mcp_list_tools.completed", p.head(96)},
		p.Finished(it),
	}
}

// Say returns an event with a text: a delta, or the whole text at its end.
// field is the name of the text's member. logprobs of output_text are a JSON
// array, or nil.
func (p Place) Say(typ, field, text string, logprobs []byte) Event {
	b := p.head(128 + len(text) + len(logprobs))
	switch typ {
	case "response.output_text.delta", "response.output_text.done", "response.refusal.delta", "response.refusal.done",
		"response.reasoning_text.delta", "response.reasoning_text.done":
		b = p.index(b, "content_index")
	case "response.reasoning_summary_text.delta", "response.reasoning_summary_text.done":
		b = p.index(b, "summary_index")
	}
	b = append(b, ',', '"')
	b = append(b, field...)
	b = append(b, `":`...)
	b = raw.AppendText(b, text)
	if typ == "response.output_text.delta" || typ == "response.output_text.done" {
		b = append(b, `,"logprobs":`...)
		if logprobs == nil {
			b = append(b, "[]"...)
		}
		b = append(b, logprobs...)
	}
	return Event{typ, b}
}

// Piece returns an event that shows a part: response.content_part.added and
// done, response.reasoning_summary_part.added and done.
func (p Place) Piece(typ string, part item.Part) Event {
	b := p.head(192 + len(part.Text))
	if part.Type == "summary_text" {
		b = p.index(b, "summary_index")
	} else {
		b = p.index(b, "content_index")
	}
	b = append(b, `,"part":`...)
	return Event{typ, part.AppendJSON(b)}
}

// Annotation returns the event of an annotation of an output_text, as JSON with
// its index.
func (p Place) Annotation(index int, annotation []byte) Event {
	b := p.index(p.head(128+len(annotation)), "content_index")
	b = append(b, `,"annotation_index":`...)
	b = strconv.AppendInt(b, int64(index), 10)
	b = append(b, `,"annotation":`...)
	return Event{"response.output_text.annotation.added", append(b, annotation...)}
}

func (p Place) head(size int) []byte {
	b := append(make([]byte, 0, size), `"item_id":`...)
	b = raw.AppendText(b, p.ItemID)
	b = append(b, `,"output_index":`...)
	return strconv.AppendInt(b, int64(p.Output), 10)
}

func (p Place) index(b []byte, name string) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, `":`...)
	return strconv.AppendInt(b, int64(p.Part), 10)
}
