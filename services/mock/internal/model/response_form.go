package model

import (
	"encoding/json"
	"fmt"
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
