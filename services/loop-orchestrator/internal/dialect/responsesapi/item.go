package responsesapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/rawjson"
)

// entry is an output item.
type entry struct {
	model.Output
	id string // the upstream's
}

// kindOf returns the kind of an item. known is false for an item that is not
// part of the answer. An item that the upstream wants an answer to is an error,
// because no client can give it.
func kindOf(it json.RawMessage) (k model.Kind, known bool, err error) {
	switch typ := rawjson.Text(rawjson.Member(it, "type")); typ {
	case "message":
		return model.Message, true, nil
	case "reasoning":
		return model.Reasoning, true, nil
	case "function_call":
		return model.Function, true, nil
	case "custom_tool_call":
		return model.Custom, true, nil
	case "":
		if rawjson.Text(rawjson.Member(it, "name")) != "" && rawjson.IsSet(rawjson.Member(it, "call_id")) {
			return model.Function, true, nil
		}
		return model.Message, rawjson.Text(rawjson.Member(it, "role")) == "assistant", nil
	case "computer_call", "local_shell_call", "shell_call", "apply_patch_call", "mcp_approval_request":
		return 0, false, fmt.Errorf("%w: a %s was not offered", model.ErrMalformed, typ)
	}
	return 0, false, nil
}

// readItem reads a complete item.
func readItem(it json.RawMessage) (o entry, known bool, err error) {
	if o.Kind, known, err = kindOf(it); !known || err != nil {
		return o, false, err
	}
	o.id = rawjson.Text(rawjson.Member(it, "id"))
	switch o.Kind {
	case model.Function, model.Custom:
		if o.Call = readCall(it, o.Kind); o.Call.Name == "" {
			return o, false, fmt.Errorf("%w: a call has no name", model.ErrMalformed)
		}
	case model.Reasoning:
		o.Reasoning = readReasoning(it)
	default:
		o.Parts = readParts(rawjson.Member(it, "content"))
		o.Phase = knownPhase(rawjson.Text(rawjson.Member(it, "phase")))
	}
	o.Own = newOwn(it, o.Output)
	return o, true, nil
}

// readCall reads a call. Some servers put name and arguments where chat
// completions has them.
func readCall(it json.RawMessage, k model.Kind) model.ToolCall {
	c := model.ToolCall{
		ID: rawjson.Scalar(rawjson.Member(it, "call_id")), Space: rawjson.Text(rawjson.Member(it, "namespace")),
		Name: rawjson.Text(rawjson.Member(it, "name")),
	}
	if c.ID == "" {
		c.ID = rawjson.Scalar(rawjson.Member(it, "id"))
	}
	in := it
	if f := rawjson.Member(it, "function"); c.Name == "" && rawjson.IsSet(f) {
		in, c.Name = f, rawjson.Text(rawjson.Member(f, "name"))
	}
	member := "arguments"
	if k == model.Custom {
		member = "input"
	}
	c.Arguments = model.ReadArguments(rawjson.Member(in, member))
	return c
}

func readReasoning(it json.RawMessage) item.Reasoning {
	r := item.Reasoning{Encrypted: rawjson.Text(rawjson.Member(it, "encrypted_content"))}
	for p := range rawjson.Elements(rawjson.Member(it, "summary")) {
		if text := partText(p); text != "" || rawjson.Kind(p) == '{' {
			r.Summary = append(r.Summary, text)
		}
	}
	for p := range rawjson.Elements(rawjson.Member(it, "content")) {
		r.Text += partText(p)
	}
	if r.Text == "" {
		r.Text = rawjson.Text(rawjson.Member(it, "text"))
	}
	return r
}

// partText returns the text of a part, which some servers write as a string.
func partText(p json.RawMessage) string {
	if rawjson.Kind(p) == '"' {
		return rawjson.Text(p)
	}
	return rawjson.Text(rawjson.Member(p, "text"))
}

// knownPhase returns a phase of the API, or "".
func knownPhase(text string) string {
	if text == "commentary" || text == "final_answer" {
		return text
	}
	return ""
}

// readParts reads the content of a message. Unknown parts are ignored.
func readParts(content json.RawMessage) []item.Part {
	var parts []item.Part
	for p := range rawjson.Elements(content) {
		typ := rawjson.Text(rawjson.Member(p, "type"))
		switch {
		case rawjson.Kind(p) == '"':
			parts = append(parts, item.Part{Type: "output_text", Text: rawjson.Text(p)})
		case rawjson.Kind(p) != '{':
		case slices.Contains([]string{"output_text", "text", "input_text", ""}, typ):
			parts = append(parts, item.Part{
				Type: "output_text", Text: partText(p),
				Annotations: readAnnotations(rawjson.Member(p, "annotations")),
				Logprobs:    model.Logprobs(rawjson.Member(p, "logprobs")),
			})
		case typ == "refusal":
			text := rawjson.Text(rawjson.Member(p, "refusal"))
			if text == "" {
				text = partText(p)
			}
			parts = append(parts, item.Part{Type: "refusal", Text: text})
		}
	}
	return parts
}

// readAnnotations returns annotations on one line. It returns nil if there are
// no annotations, if one is not an object with a type, or if they are nested
// deeper than an item may be: such an item could not be read again.
func readAnnotations(v json.RawMessage) json.RawMessage {
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
	nested := strings.Repeat("[", levels) + line.String() + strings.Repeat("]", levels)
	probe := `{"type":"notes","notes":` + nested + `}`
	if _, fault := item.Parse([]byte(probe)); fault != nil {
		return nil
	}
	return line.Bytes()
}
