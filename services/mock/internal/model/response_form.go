package model

import (
	"encoding/json"
	"fmt"
	"iter"
	"strings"
)

// responseForm is the Responses API.
type responseForm struct {
	id      string          // of this response
	summary bool            // reasoning is told as a summary, and not in the model's own words
	sealed  string          // the reasoning's sealed form; empty: it was not asked for
	tools   map[string]kept // those that are no plain functions
}

// object is JSON; its members are written in the order of their names.
type object map[string]any

func (o object) json() []byte {
	b, err := json.Marshal(o)
	if err != nil { // strings, numbers and objects of them encode
		panic(err)
	}
	return b
}

func (f responseForm) body(rep *reply) []byte { return f.response(rep, f.items(rep)).json() }

// empty is a response without status and output.
func (f responseForm) empty(rep *reply) []byte {
	return object{"id": "resp_" + f.id, "object": "response", "model": rep.model}.json()
}

// response is the response object at its end.
func (f responseForm) response(rep *reply, items []object) object {
	o := f.begun(rep)
	o["output"] = items
	o["usage"] = object{
		"input_tokens": rep.promptTokens, "input_tokens_details": object{"cached_tokens": 0},
		"output_tokens": rep.completionTokens(), "output_tokens_details": object{"reasoning_tokens": rep.reasoningTokens()},
		"total_tokens": rep.promptTokens + rep.completionTokens(),
	}
	switch o["status"] = f.status(rep); o["status"] {
	case "failed":
		o["error"] = object{"code": "server_error", "message": "The plan has the mock fail."}
	case "incomplete":
		reason := rep.finish
		if reason == "length" {
			reason = "max_output_tokens"
		}
		o["incomplete_details"] = object{"reason": reason}
	}
	return o
}

func (f responseForm) begun(rep *reply) object {
	return object{
		"id": "resp_" + f.id, "object": "response", "created_at": json.RawMessage(created), "model": rep.model, "status": "in_progress",
		"error": nil, "incomplete_details": nil, "output": []object{}, "usage": nil,
	}
}

func (f responseForm) status(rep *reply) string {
	switch rep.finish {
	case "stop", "tool_calls":
		return "completed"
	case "failed":
		return "failed"
	}
	return "incomplete"
}

// items is the output, complete.
func (f responseForm) items(rep *reply) []object {
	items := []object{}
	if rep.reasoning != "" {
		items = append(items, f.reasoning(rep))
	}
	status := "completed"
	if f.status(rep) == "incomplete" {
		status = "incomplete"
	}
	if rep.text != "" || len(rep.calls) == 0 {
		items = append(items, object{
			"type": "message", "id": "msg_" + f.id, "role": "assistant", "status": status, "content": []object{outputText(rep.text)},
		})
	}
	for i, call := range rep.calls {
		o := object{
			"type": "function_call", "id": fmt.Sprintf("fc_%s_%d", f.id, i), "call_id": call.id, "name": call.name,
			"arguments": call.arguments, "status": "completed",
		}
		tool := f.tools[call.name]
		if tool.space != "" {
			o["namespace"] = tool.space
		}
		if tool.custom {
			o["type"], o["id"], o["input"] = "custom_tool_call", fmt.Sprintf("ctc_%s_%d", f.id, i), call.arguments
			delete(o, "arguments")
		}
		if i == len(rep.calls)-1 {
			o["status"] = status
		}
		items = append(items, o)
	}
	return items
}

func (f responseForm) reasoning(rep *reply) object {
	o := object{"type": "reasoning", "id": "rs_" + f.id, "summary": []object{}}
	if f.sealed != "" {
		o["encrypted_content"] = f.sealed
	}
	if f.summary {
		o["summary"] = []object{{"type": "summary_text", "text": rep.reasoning}}
	} else {
		o["content"] = []object{{"type": "reasoning_text", "text": rep.reasoning}}
	}
	return o
}

func outputText(text string) object {
	return object{"type": "output_text", "text": text, "annotations": []object{}, "logprobs": []object{}}
}

// events is the response piece by piece: reasoning and text word by word, arguments in two pieces, every item and part opened and
// closed, and the whole of it in the last event.
func (f responseForm) events(rep *reply) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		n := 0
		tell := func(typ string, members object) bool {
			members["type"], members["sequence_number"] = typ, n
			n++
			return yield(append(append([]byte("event: "+typ+"\ndata: "), members.json()...), "\n\n"...))
		}
		if !tell("response.created", object{"response": f.begun(rep)}) || !tell("response.in_progress", object{"response": f.begun(rep)}) {
			return
		}
		items := f.items(rep)
		for at, it := range items {
			if !f.tellItem(rep, at, it, tell) {
				return
			}
		}
		whole := f.response(rep, items)
		if tell("response."+whole["status"].(string), object{"response": whole}) {
			yield([]byte("data: [DONE]\n\n"))
		}
	}
}

func (f responseForm) tellItem(rep *reply, at int, it object, tell func(string, object) bool) bool {
	begun := object{"type": it["type"], "id": it["id"], "status": "in_progress"}
	place := func(more ...any) object {
		o := object{"item_id": it["id"], "output_index": at}
		for i := 0; i < len(more); i += 2 {
			o[more[i].(string)] = more[i+1]
		}
		return o
	}
	said := func() bool { return true }
	switch it["type"] {
	case "message":
		begun["role"], begun["content"] = "assistant", []object{}
		said = func() bool {
			return tellPart("output_text", "content_index", pieces(rep), rep.text, outputText, place, tell)
		}
	case "reasoning":
		delete(begun, "status")
		begun["summary"] = []object{}
		typ, index := "reasoning_text", "content_index"
		if f.summary {
			typ, index = "reasoning_summary_text", "summary_index"
		}
		part := func(text string) object {
			return object{"type": strings.Replace(typ, "reasoning_s", "s", 1), "text": text}
		}
		said = func() bool {
			return tellPart(typ, index, strings.SplitAfter(rep.reasoning, " "), rep.reasoning, part, place, tell)
		}
	case "function_call", "custom_tool_call":
		typ, member := "response.function_call_arguments.", "arguments"
		if it["type"] == "custom_tool_call" {
			typ, member = "response.custom_tool_call_input.", "input"
		}
		begun["call_id"], begun["name"], begun[member] = it["call_id"], it["name"], ""
		if space, ok := it["namespace"]; ok {
			begun["namespace"] = space
		}
		said = func() bool {
			text := it[member].(string)
			for _, piece := range halves(text) {
				if piece != "" && !tell(typ+"delta", place("delta", piece)) {
					return false
				}
			}
			return tell(typ+"done", place("name", it["name"], member, text))
		}
	}
	return tell("response.output_item.added", object{"output_index": at, "item": begun}) && said() &&
		tell("response.output_item.done", object{"output_index": at, "item": it})
}

// tellPart tells the one part of an item.
func tellPart(
	typ, index string, pieces []string, text string, part func(string) object, place func(...any) object, tell func(string, object) bool,
) bool {
	around := "response.content_part."
	if index == "summary_index" {
		around = "response.reasoning_summary_part."
	}
	if !tell(around+"added", place(index, 0, "part", part(""))) {
		return false
	}
	for _, piece := range pieces {
		if piece != "" && !tell("response."+typ+".delta", place(index, 0, "delta", piece, "logprobs", []object{})) {
			return false
		}
	}
	return tell("response."+typ+".done", place(index, 0, "text", text, "logprobs", []object{})) &&
		tell(around+"done", place(index, 0, "part", part(text)))
}

func pieces(rep *reply) []string {
	if rep.whole {
		return []string{rep.text}
	}
	return strings.SplitAfter(rep.text, " ")
}
