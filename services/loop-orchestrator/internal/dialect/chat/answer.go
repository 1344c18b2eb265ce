package chat

import (
	"encoding/json"
	"fmt"
	"slices"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/rawjson"
)

// Decode reads the body of a chat completion, or returns model.ErrMalformed. It
// reads the body as a stream of one chunk.
func (Dialect) Decode(body []byte) (model.Answer, error) {
	v, ok := rawjson.Valid(body)
	if !ok {
		return model.Answer{}, fmt.Errorf("%w: %d bytes that are no chat completion", model.ErrMalformed, len(body))
	}
	s := newStream(func(model.Delta) {})
	s.done, s.complete = true, true
	if err := s.addWhole(v); err != nil {
		return model.Answer{}, err
	}
	return s.Answer()
}

// whole adds a complete chat completion. The request asks for one choice, but
// some servers put the text and the calls into two.
func (s *stream) addWhole(v json.RawMessage) error {
	var choices []json.RawMessage
	for c := range rawjson.Elements(rawjson.Member(v, "choices")) {
		choices = append(choices, c)
	}
	if len(choices) == 0 || rawjson.Kind(rawjson.Member(choices[0], "message")) != '{' {
		return fmt.Errorf("%w: it has no choice with a message", model.ErrMalformed)
	}
	if err := s.Event(v); err != nil {
		return err
	}
	for _, c := range choices[1:] {
		if len(s.calls.all) > 0 {
			break
		}
		if err := s.add(delta{calls: readMessage(rawjson.Member(c, "message")).calls}, nil, true); err != nil {
			return err
		}
	}
	return nil
}

// Done records that the stream ended with [DONE].
func (s *stream) Done() { s.done = true }

// Answer returns the complete answer. A stream that ends with [DONE] needs no
// finish_reason.
func (s *stream) Answer() (model.Answer, error) {
	switch {
	case !s.chosen || s.finish == "" && !s.done:
		return model.Answer{}, model.ErrBrokenOff
	case isFailure(s.finish):
		return model.Answer{}, finishError(s.finish)
	}
	if err := s.finishCalls(); err != nil {
		return model.Answer{}, err
	}
	if len(s.outputs) == 0 && isFailure(s.nativeReason) {
		return model.Answer{}, finishError(s.nativeReason)
	}
	a := model.Answer{Finish: s.finishReason(), Usage: s.usage}
	for _, o := range s.outputs {
		a.Outputs = append(a.Outputs, o.toOutput())
	}
	if len(a.Outputs) > 0 {
		a.Outputs[0].Own = s.withMessage(a.Outputs[0].Own)
	}
	return a, nil
}

// reason returns why the model stopped. After an unknown reason the arguments
// of all calls must be complete, otherwise the reason is model.Other.
func (s *stream) finishReason() model.Finish {
	f, known := finish(s.finish)
	if !known && slices.ContainsFunc(s.calls.all, (*pendingCall).isUnfinished) {
		return model.Other
	}
	return f
}

// withMessage adds what the upstream attached to the message to what it
// attached to the first output.
func (s *stream) withMessage(first json.RawMessage) json.RawMessage {
	var o own
	if first != nil && json.Unmarshal(first, &o) != nil {
		return first // cannot happen: own.encode wrote it
	}
	if content := s.attached.members[contentMember]; content != nil {
		if s.kinds {
			o.Content = content.append(nil)
		}
		delete(s.attached.members, contentMember)
	}
	switch {
	case s.reasoningMember != "" && s.reasoningMember != contentMember && s.attached.members[s.reasoningMember] == nil:
		o.Reasoning = []string{s.reasoningMember}
		same := string(rawjson.AppendQuote(nil, s.reasoning.text.String()))
		for _, name := range reasoningMembers { // store the same text once
			if m := s.attached.members[name]; m != nil && string(m.append(nil)) == same {
				o.Reasoning = append(o.Reasoning, name)
				delete(s.attached.members, name)
			}
		}
	case s.reasoningMember == "" && s.emptyMember != "" && len(s.calls.all) > 0:
		// Some servers require the member in messages with calls.
		o.Reasoning = []string{s.emptyMember}
	}
	o.Message = s.attached.json()
	return o.encode()
}

func (o *output) toOutput() model.Output {
	out := o.Output
	switch o.Kind {
	case model.Reasoning:
		out.Reasoning = item.Reasoning{Text: o.text.String()}
	case model.Function:
		out.Call.Arguments = o.text.String()
	case model.Message:
		out.Parts = make([]item.Part, o.parts)
		if o.textAt >= 0 {
			logprobs := joinArrays(o.logprobs)
			out.Parts[o.textAt] = item.Part{Type: "output_text", Text: o.text.String(), Logprobs: logprobs}
		}
		if o.refuseAt >= 0 {
			out.Parts[o.refuseAt] = item.Part{Type: "refusal", Text: o.refusal.String()}
		}
	}
	return out
}

// join makes one array of several.
func joinArrays(lists []json.RawMessage) json.RawMessage {
	if len(lists) == 0 {
		return nil
	}
	b := []byte{'['}
	for _, l := range lists {
		for e := range rawjson.Elements(l) {
			if len(b) > 1 {
				b = append(b, ',')
			}
			b = append(b, e...)
		}
	}
	return append(b, ']')
}

// addUsage reads the counts that are valid. A missing, zero or invalid count
// keeps the value of an earlier chunk.
func addUsage(u *responses.Usage, v json.RawMessage) {
	set := func(to *int64, from json.RawMessage, names ...string) {
		for _, name := range names {
			if n := rawjson.Count(rawjson.Member(from, name)); n > 0 {
				*to = n
				return
			}
		}
	}
	if rawjson.Kind(v) != '{' {
		return
	}
	set(&u.InputTokens, v, "prompt_tokens", "input_tokens")
	set(&u.OutputTokens, v, "completion_tokens", "output_tokens")
	prompt := rawjson.Member(v, "prompt_tokens_details")
	set(&u.CachedTokens, v, "prompt_cache_hit_tokens")
	set(&u.CachedTokens, prompt, "cached_tokens")
	set(&u.CacheWriteTokens, prompt, "cache_write_tokens")
	set(&u.ReasoningTokens, rawjson.Member(v, "completion_tokens_details"), "reasoning_tokens")
}
