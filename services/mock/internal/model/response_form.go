package model

import (
	"encoding/json"
	"fmt"
	"iter"
	"strings"
)

// responseForm is the Responses API.
type responseForm struct {
	id      string          // the response's own
	summary bool            // send reasoning as a summary, not as text
	sealed  string          // the sealed reasoning; "" if it was not requested
	tools   map[string]kind // those that are no plain functions
}

// object is JSON. Its members are written in the order of their names.
type object map[string]any

func (o object) json() []byte {
	b, err := json.Marshal(o)
	if err != nil { // strings, numbers and objects always encode
		panic(err)
	}
	return b
}

func (f responseForm) body(rep *reply) []byte { return f.response(rep, f.items(rep)).json() }

// empty returns a response without status and output.
func (f responseForm) empty(rep *reply) []byte {
	return object{"id": "resp_" + f.id, "object": "response", "model": rep.model}.json()
}

// response returns the final response object.
func (f responseForm) response(rep *reply, items []object) object {
	o := f.start(rep)
	o["output"] = items
	o["usage"] = object{
		"input_tokens": rep.promptTokens, "input_tokens_details": object{"cached_tokens": 0},
		"output_tokens":         rep.completionTokens(),
		"output_tokens_details": object{"reasoning_tokens": rep.reasoningTokens()},
		"total_tokens":          rep.promptTokens + rep.completionTokens(),
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

func (f responseForm) start(rep *reply) object {
	return object{
		"id": "resp_" + f.id, "object": "response", "created_at": json.RawMessage(created),
		"model": rep.model, "status": "in_progress",
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

// items returns the complete output.
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
			"type": "message", "id": "msg_" + f.id, "role": "assistant", "status": status,
			"content": []object{outputText(rep.text)},
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
			if !f.sendItem(rep, at, it, send) {
				return
			}
		}
		whole := f.response(rep, items)
		if send("response."+whole["status"].(string), object{"response": whole}) {
			yield([]byte("data: [DONE]\n\n"))
		}
	}
}

func (f responseForm) sendItem(rep *reply, at int, it object, send func(string, object) bool) bool {
	opened := object{"type": it["type"], "id": it["id"], "status": "in_progress"}
	place := func(more ...any) object {
		o := object{"item_id": it["id"], "output_index": at}
		for i := 0; i < len(more); i += 2 {
			o[more[i].(string)] = more[i+1]
		}
		return o
	}
	sendContent := func() bool { return true }
	switch it["type"] {
	case "message":
		opened["role"], opened["content"] = "assistant", []object{}
		sendContent = func() bool {
			return sendPart("output_text", "content_index", pieces(rep), rep.text, outputText, place, send)
		}
	case "reasoning":
		delete(opened, "status")
		opened["summary"] = []object{}
		typ, index := "reasoning_text", "content_index"
		if f.summary {
			typ, index = "reasoning_summary_text", "summary_index"
		}
		part := func(text string) object {
			return object{"type": strings.Replace(typ, "reasoning_s", "s", 1), "text": text}
		}
		sendContent = func() bool {
			return sendPart(typ, index, strings.SplitAfter(rep.reasoning, " "), rep.reasoning, part, place, send)
		}
	case "function_call", "custom_tool_call":
		typ, member := "response.function_call_arguments.", "arguments"
		if it["type"] == "custom_tool_call" {
			typ, member = "response.custom_tool_call_input.", "input"
		}
		opened["call_id"], opened["name"], opened[member] = it["call_id"], it["name"], ""
		if space, ok := it["namespace"]; ok {
			opened["namespace"] = space
		}
		sendContent = func() bool {
			text := it[member].(string)
			for _, piece := range halves(text) {
				if piece != "" && !send(typ+"delta", place("delta", piece)) {
					return false
				}
			}
			return send(typ+"done", place("name", it["name"], member, text))
		}
	}
	return send("response.output_item.added", object{"output_index": at, "item": opened}) && sendContent() &&
		send("response.output_item.done", object{"output_index": at, "item": it})
}

// sendPart sends the only part of an item.
func sendPart(
	typ, index string, pieces []string, text string, part func(string) object,
	place func(...any) object, send func(string, object) bool,
) bool {
	around := "response.content_part."
	if index == "summary_index" {
		around = "response.reasoning_summary_part."
	}
	if !send(around+"added", place(index, 0, "part", part(""))) {
		return false
	}
	for _, piece := range pieces {
		if piece != "" && !send("response."+typ+".delta", place(index, 0, "delta", piece, "logprobs", []object{})) {
			return false
		}
	}
	return send("response."+typ+".done", place(index, 0, "text", text, "logprobs", []object{})) &&
		send(around+"done", place(index, 0, "part", part(text)))
}

func pieces(rep *reply) []string {
	if rep.whole {
		return []string{rep.text}
	}
	return strings.SplitAfter(rep.text, " ")
}
