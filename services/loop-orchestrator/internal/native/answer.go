package native

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

type response struct {
	Status     string            `json:"status"`
	Error      json.RawMessage   `json:"error"`
	Output     []json.RawMessage `json:"output"`
	Usage      *responses.Usage  `json:"usage"`
	Incomplete struct {
		Reason string `json:"reason"`
	} `json:"incomplete_details"`
}

// Decode reads a response object. Errors: model.ErrMalformed, it is none or is not at its end; *model.CallError, it tells of a failure.
func (Dialect) Decode(body []byte) (model.Answer, error) {
	r, err := parse(body)
	if err != nil {
		return model.Answer{}, err
	}
	return r.answer()
}

func parse(body []byte) (response, error) {
	var r response
	if err := json.Unmarshal(body, &r); err != nil {
		return r, fmt.Errorf("%w: %d bytes that are no response", model.ErrMalformed, len(body))
	}
	return r, nil
}

func (r response) answer() (model.Answer, error) {
	a := model.Answer{Usage: r.used()}
	switch {
	case r.Status == "completed":
		a.Finish = model.Stopped
	case r.Status == "incomplete":
		a.Finish = finish(r.Incomplete.Reason)
	case r.Status == "failed", r.Status == "cancelled", r.Status == "" && given(r.Error):
		return model.Answer{}, failure(r.Error)
	default:
		return model.Answer{}, fmt.Errorf("%w: it is no response that has come to its end", model.ErrMalformed)
	}
	for _, it := range r.Output {
		o, known, err := read(it)
		if err != nil {
			return model.Answer{}, err
		}
		if known {
			a.Outputs = append(a.Outputs, o)
		}
	}
	return a, nil
}

func given(v json.RawMessage) bool { return len(v) > 0 && string(v) != "null" }

func finish(reason string) model.Finish {
	switch reason {
	case "max_output_tokens":
		return model.Length
	case "content_filter":
		return model.Filtered
	}
	return model.Other
}

func (r response) used() responses.Usage {
	if r.Usage == nil {
		return responses.Usage{}
	}
	u := *r.Usage
	return responses.Usage{
		InputTokens: max(u.InputTokens, 0), CachedTokens: max(u.CachedTokens, 0), CacheWriteTokens: max(u.CacheWriteTokens, 0),
		OutputTokens: max(u.OutputTokens, 0), ReasoningTokens: max(u.ReasoningTokens, 0),
	}
}

// entry is an output item.
type entry struct {
	ID        string `json:"id"`
	Phase     string `json:"phase"`
	Content   []part `json:"content"`
	Summary   []part `json:"summary"`
	Encrypted string `json:"encrypted_content"`
	CallID    string `json:"call_id"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
	Input     string `json:"input"` // of a custom tool's call
}

type part struct {
	Type        string          `json:"type"`
	Text        string          `json:"text"`
	Refusal     string          `json:"refusal"`
	Annotations json.RawMessage `json:"annotations"`
	Logprobs    json.RawMessage `json:"logprobs"`
}

// kind is what an item is; known is false for one that is no part of the answer. An item that the upstream waits for an answer to was
// not asked for, and nobody can give it.
func kind(it json.RawMessage) (k model.Kind, known bool, err error) {
	var head struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(it, &head) != nil {
		return 0, false, fmt.Errorf("%w: an item is none", model.ErrMalformed)
	}
	switch head.Type {
	case "message":
		return model.Message, true, nil
	case "reasoning":
		return model.Reasoning, true, nil
	case "function_call":
		return model.Function, true, nil
	case "custom_tool_call":
		return model.Custom, true, nil
	case "computer_call", "local_shell_call", "shell_call", "apply_patch_call", "mcp_approval_request":
		return 0, false, fmt.Errorf("%w: a %s was not offered", model.ErrMalformed, head.Type)
	}
	return 0, false, nil
}

// read reads an item that is complete.
func read(it json.RawMessage) (o model.Output, known bool, err error) {
	if o.Kind, known, err = kind(it); !known || err != nil {
		return o, false, err
	}
	var s entry
	if json.Unmarshal(it, &s) != nil {
		return o, false, fmt.Errorf("%w: an item has members of other types", model.ErrMalformed)
	}
	switch o.Kind {
	case model.Function, model.Custom:
		o.Call, err = s.call(o.Kind)
	case model.Reasoning:
		o.Reasoning = s.reasoning()
	default:
		o.Parts, err = s.parts()
		o.Phase = s.phase()
	}
	return o, err == nil, err
}

func (s entry) call(k model.Kind) (model.ToolCall, error) {
	switch {
	case s.Name == "":
		return model.ToolCall{}, fmt.Errorf("%w: a call has no name", model.ErrMalformed)
	case k == model.Custom:
		return model.ToolCall{ID: s.CallID, Space: s.Namespace, Name: s.Name, Arguments: s.Input}, nil
	}
	return model.ToolCall{ID: s.CallID, Space: s.Namespace, Name: s.Name, Arguments: s.Arguments}, nil
}

func (s entry) reasoning() item.Reasoning {
	r := item.Reasoning{Encrypted: s.Encrypted}
	for _, p := range s.Summary {
		r.Summary = append(r.Summary, p.Text)
	}
	for _, p := range s.Content {
		r.Text += p.Text
	}
	return r
}

// phase is one that the API has, or empty.
func (s entry) phase() string {
	if s.Phase == "commentary" || s.Phase == "final_answer" {
		return s.Phase
	}
	return ""
}

func (s entry) parts() ([]item.Part, error) {
	var parts []item.Part
	for _, p := range s.Content {
		switch p.Type {
		case "output_text":
			parts = append(parts, item.Part{Type: p.Type, Text: p.Text, Annotations: notes(p.Annotations), Logprobs: model.Logprobs(p.Logprobs)})
		case "refusal":
			parts = append(parts, item.Part{Type: p.Type, Text: p.Refusal})
		default:
			return nil, fmt.Errorf("%w: a message has content that nobody can say", model.ErrMalformed)
		}
	}
	return parts, nil
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
