package model

import (
	"iter"
	"strings"
)

// sender sends one event. It returns false if the client has left.
type sender func(typ string, members object) bool

// events returns the response piece by piece: reasoning and text word by word,
// arguments in two pieces, every item and part opened and closed, and the whole
// response in the last event.
func (f responseForm) events(rep *reply) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		n := 0
		send := func(typ string, members object) bool {
			members["type"], members["sequence_number"] = typ, n
			n++
			return yield(append(append([]byte("event: "+typ+"\ndata: "), members.json()...), "\n\n"...))
		}
		if !send("response.created", object{"response": f.start(rep)}) ||
			!send("response.in_progress", object{"response": f.start(rep)}) {
			return
		}
		items := f.items(rep)
		for at, it := range items {
			if !(itemStream{index: at, item: it, send: send}).sendItem(f, rep) {
				return
			}
		}
		whole := f.response(rep, items)
		if send("response."+whole["status"].(string), object{"response": whole}) {
			yield([]byte("data: [DONE]\n\n"))
		}
	}
}

// itemStream sends the events of one item.
type itemStream struct {
	index int
	item  object
	send  sender
}

// sendItem opens the item, sends its content, and closes it.
func (s itemStream) sendItem(f responseForm, rep *reply) bool {
	opened := object{"type": s.item["type"], "id": s.item["id"], "status": "in_progress"}
	sendContent := func() bool { return true }
	switch s.item["type"] {
	case "message":
		opened["role"], opened["content"] = "assistant", []object{}
		p := part{typ: "output_text", index: "content_index", text: rep.text, make: outputText}
		sendContent = func() bool { return s.sendPart(p, textPieces(rep)) }
	case "reasoning":
		delete(opened, "status")
		opened["summary"] = []object{}
		p := f.reasoningPart(rep)
		sendContent = func() bool { return s.sendPart(p, strings.SplitAfter(rep.reasoning, " ")) }
	case "function_call":
		opened["arguments"] = ""
		sendContent = func() bool { return s.sendCall("response.function_call_arguments.", "arguments") }
	case "custom_tool_call":
		opened["input"] = ""
		sendContent = func() bool { return s.sendCall("response.custom_tool_call_input.", "input") }
	}
	for _, member := range []string{"call_id", "name", "namespace"} { // of calls
		if value, ok := s.item[member]; ok {
			opened[member] = value
		}
	}
	return s.send("response.output_item.added", object{"output_index": s.index, "item": opened}) && sendContent() &&
		s.send("response.output_item.done", object{"output_index": s.index, "item": s.item})
}

// place returns the members of an event inside the item, followed by more:
// names and values.
func (s itemStream) place(more ...any) object {
	o := object{"item_id": s.item["id"], "output_index": s.index}
	for i := 0; i < len(more); i += 2 {
		o[more[i].(string)] = more[i+1]
	}
	return o
}

// sendCall sends the arguments of a call.
func (s itemStream) sendCall(typ, member string) bool {
	text := s.item[member].(string)
	for _, piece := range halves(text) {
		if piece != "" && !s.send(typ+"delta", s.place("delta", piece)) {
			return false
		}
	}
	return s.send(typ+"done", s.place("name", s.item["name"], member, text))
}

// part is the only part of an item.
type part struct {
	typ, index string // of its events, and their member with its number
	text       string
	make       func(text string) object
}

func (f responseForm) reasoningPart(rep *reply) part {
	p := part{typ: "reasoning_text", index: "content_index", text: rep.reasoning}
	if f.summary {
		p.typ, p.index = "reasoning_summary_text", "summary_index"
	}
	p.make = func(text string) object {
		return object{"type": strings.Replace(p.typ, "reasoning_s", "s", 1), "text": text}
	}
	return p
}

// sendPart opens the part, sends its text in pieces, and closes it.
func (s itemStream) sendPart(p part, pieces []string) bool {
	around := "response.content_part."
	if p.index == "summary_index" {
		around = "response.reasoning_summary_part."
	}
	if !s.send(around+"added", s.place(p.index, 0, "part", p.make(""))) {
		return false
	}
	for _, piece := range pieces {
		delta := s.place(p.index, 0, "delta", piece, "logprobs", []object{})
		if piece != "" && !s.send("response."+p.typ+".delta", delta) {
			return false
		}
	}
	return s.send("response."+p.typ+".done", s.place(p.index, 0, "text", p.text, "logprobs", []object{})) &&
		s.send(around+"done", s.place(p.index, 0, "part", p.make(p.text)))
}

func textPieces(rep *reply) []string {
	if rep.whole {
		return []string{rep.text}
	}
	return strings.SplitAfter(rep.text, " ")
}
