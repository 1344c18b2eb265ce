package native

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/loop-orchestrator/internal/loose"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// entry is an output item that was read.
type entry struct {
	model.Output
	id string // the upstream's
}

// kind is what an item is; known is false for one that is no part of the answer. An item that the upstream waits for an answer to was
// not asked for, and nobody can give it.
func kind(it json.RawMessage) (k model.Kind, known bool, err error) {
	switch typ := loose.Text(loose.Member(it, "type")); typ {
	case "message":
		return model.Message, true, nil
	case "reasoning":
		return model.Reasoning, true, nil
	case "function_call":
		return model.Function, true, nil
	case "custom_tool_call":
		return model.Custom, true, nil
	case "":
		if loose.Text(loose.Member(it, "name")) != "" && given(loose.Member(it, "call_id")) {
			return model.Function, true, nil
		}
		return model.Message, loose.Text(loose.Member(it, "role")) == "assistant", nil
	case "computer_call", "local_shell_call", "shell_call", "apply_patch_call", "mcp_approval_request":
		return 0, false, fmt.Errorf("%w: a %s was not offered", model.ErrMalformed, typ)
	}
	return 0, false, nil
}

// read reads an item that is complete.
func read(it json.RawMessage) (o entry, known bool, err error) {
	if o.Kind, known, err = kind(it); !known || err != nil {
		return o, false, err
	}
	o.id = loose.Text(loose.Member(it, "id"))
	switch o.Kind {
	case model.Function, model.Custom:
		if o.Call = readCall(it, o.Kind); o.Call.Name == "" {
			return o, false, fmt.Errorf("%w: a call has no name", model.ErrMalformed)
		}
	case model.Reasoning:
		o.Reasoning = readReasoning(it)
	default:
		o.Parts = readParts(loose.Member(it, "content"))
		o.Phase = phase(loose.Text(loose.Member(it, "phase")))
	}
	o.Own = own(it, o.Output)
	return o, true, nil
}

// readCall reads a call. Some servers put name and arguments where chat completions has them.
func readCall(it json.RawMessage, k model.Kind) model.ToolCall {
	c := model.ToolCall{
		ID: loose.Word(loose.Member(it, "call_id")), Space: loose.Text(loose.Member(it, "namespace")),
		Name: loose.Text(loose.Member(it, "name")),
	}
	if c.ID == "" {
		c.ID = loose.Word(loose.Member(it, "id"))
	}
	in := it
	if f := loose.Member(it, "function"); c.Name == "" && given(f) {
		in, c.Name = f, loose.Text(loose.Member(f, "name"))
	}
	member := "arguments"
	if k == model.Custom {
		member = "input"
	}
	c.Arguments = model.ReadArguments(loose.Member(in, member))
	return c
}

func readReasoning(it json.RawMessage) item.Reasoning {
	r := item.Reasoning{Encrypted: loose.Text(loose.Member(it, "encrypted_content"))}
	for p := range loose.Elements(loose.Member(it, "summary")) {
		if text := words(p); text != "" || loose.Kind(p) == '{' {
			r.Summary = append(r.Summary, text)
		}
	}
	for p := range loose.Elements(loose.Member(it, "content")) {
		r.Text += words(p)
	}
	if r.Text == "" {
		r.Text = loose.Text(loose.Member(it, "text"))
	}
	return r
}

// words are the text of a part, which some servers write as a text alone.
func words(p json.RawMessage) string {
	if loose.Kind(p) == '"' {
		return loose.Text(p)
	}
	return loose.Text(loose.Member(p, "text"))
}

// phase is one that the API has, or empty.
func phase(text string) string {
	if text == "commentary" || text == "final_answer" {
		return text
	}
	return ""
}

// readParts reads a message's content. Parts that are not known are passed over.
func readParts(content json.RawMessage) []item.Part {
	var parts []item.Part
	for p := range loose.Elements(content) {
		typ := loose.Text(loose.Member(p, "type"))
		switch {
		case loose.Kind(p) == '"':
			parts = append(parts, item.Part{Type: "output_text", Text: loose.Text(p)})
		case loose.Kind(p) != '{':
		case slices.Contains([]string{"output_text", "text", "input_text", ""}, typ):
			parts = append(parts, item.Part{
				Type: "output_text", Text: words(p),
				Annotations: notes(loose.Member(p, "annotations")), Logprobs: model.Logprobs(loose.Member(p, "logprobs")),
			})
		case typ == "refusal":
			text := loose.Text(loose.Member(p, "refusal"))
			if text == "" {
				text = words(p)
			}
			parts = append(parts, item.Part{Type: "refusal", Text: text})
		}
	}
	return parts
}

// notes is annotations, on one line; nil if there are none, if one is no object with a type, or if they are nested deeper than an item
// may be in which they stand, for that could not be read again.
func notes(v json.RawMessage) json.RawMessage {
	const levels = 6 // of a request's input around them
	v = bytes.ToValidUTF8(v, []byte("\uFFFD"))
	var all []struct {
		Type string `json:"type"`
	}
	var line bytes.Buffer
	if json.Unmarshal(v, &all) != nil || len(all) == 0 || json.Compact(&line, v) != nil {
		return nil
	}
	for _, note := range all {
		if note.Type == "" {
			return nil
		}
	}
	probe := `{"type":"notes","notes":` + strings.Repeat("[", levels) + line.String() + strings.Repeat("]", levels) + `}`
	if _, fault := item.Parse([]byte(probe)); fault != nil {
		return nil
	}
	return line.Bytes()
}
