package model

import (
	"iter"
	"strconv"
	"strings"

	"windlass.dev/windlass/services/mock/internal/jsontext"
	"windlass.dev/windlass/services/mock/internal/script"
)

// created is the time in every reply: replies depend on the request only.
const created = "1767225600"

// reply is one turn of the model, before it is written in a form.
type reply struct {
	id, model       string
	text, reasoning string
	calls           []toolCall
	finish          string
	promptTokens    int
	whole           bool // send the text as a single delta
}

type toolCall struct{ id, name, arguments string }

func (rep *reply) reasoningTokens() int { return script.CountTokens(rep.reasoning) }

func (rep *reply) completionTokens() int {
	return script.CountTokens(rep.text) + rep.reasoningTokens() + len(rep.calls)
}

// chatForm is chat completions. A stream ends with the usage if the request
// says so.
type chatForm struct{ usage bool }

// body returns the reply as a chat completion.
func (chatForm) body(rep *reply) []byte {
	b := make([]byte, 0, 512+len(rep.text)+len(rep.reasoning)+256*len(rep.calls))
	b = rep.appendHead(b, "chat.completion")
	b = append(b, `,"choices":[{"index":0,"message":{"role":"assistant","content":`...)
	if rep.text == "" && len(rep.calls) > 0 {
		b = append(b, "null"...)
	} else {
		b = jsontext.AppendString(b, rep.text)
	}
	if rep.reasoning != "" {
		b = jsontext.AppendString(append(b, `,"reasoning_content":`...), rep.reasoning)
	}
	if len(rep.calls) > 0 {
		b = append(b, `,"tool_calls":[`...)
		for i, call := range rep.calls {
			if i > 0 {
				b = append(b, ',')
			}
			b = jsontext.AppendString(append(b, `{"id":`...), call.id)
			b = jsontext.AppendString(append(b, `,"type":"function","function":{"name":`...), call.name)
			b = jsontext.AppendString(append(b, `,"arguments":`...), call.arguments)
			b = append(b, `}}`...)
		}
		b = append(b, ']')
	}
	b = jsontext.AppendString(append(b, `},"logprobs":null,"finish_reason":`...), rep.finish)
	b = append(b, `}],"usage":`...)
	b = rep.appendUsage(b)
	return append(b, '}')
}

// empty returns a completion without choices.
func (chatForm) empty(rep *reply) []byte {
	b := rep.appendHead(make([]byte, 0, 256), "chat.completion")
	return append(b, `,"choices":[]}`...)
}

// events returns the reply as server-sent events: the role, the reasoning and
// the text word by word, each call in two pieces, the finish reason, the usage
// if requested, and [DONE].
func (f chatForm) events(rep *reply) iter.Seq[[]byte] {
	head := rep.appendHead([]byte("data: "), "chat.completion.chunk")
	head = append(head, `,"choices":[`...)
	tail := []byte("]}\n\n")
	if f.usage {
		tail = []byte(`],"usage":null}` + "\n\n")
	}
	var buf []byte
	return func(yield func([]byte) bool) {
		chunk := func(delta func([]byte) []byte, finish string) bool {
			buf = append(append(buf[:0], head...), `{"index":0,"delta":{`...)
			buf = append(delta(buf), `},"finish_reason":`...)
			if finish == "" {
				buf = append(buf, "null}"...)
			} else {
				buf = append(jsontext.AppendString(buf, finish), '}')
			}
			buf = append(buf, tail...)
			return yield(buf)
		}
		for delta := range rep.deltas() {
			if !chunk(delta, "") {
				return
			}
		}
		if !chunk(func(b []byte) []byte { return b }, rep.finish) {
			return
		}
		if f.usage {
			buf = append(append(buf[:0], head...), `],"usage":`...)
			buf = append(rep.appendUsage(buf), "}\n\n"...)
			if !yield(buf) {
				return
			}
		}
		yield([]byte("data: [DONE]\n\n"))
	}
}

// deltas returns the inside of each delta object, in order.
func (rep *reply) deltas() iter.Seq[func([]byte) []byte] {
	return func(yield func(func([]byte) []byte) bool) {
		field := func(name, text string) bool {
			return yield(func(b []byte) []byte { return jsontext.AppendString(append(b, name...), text) })
		}
		if !field(`"role":"assistant","content":`, "") {
			return
		}
		for word := range strings.SplitAfterSeq(rep.reasoning, " ") {
			if word != "" && !field(`"reasoning_content":`, word) {
				return
			}
		}
		pieces := strings.SplitAfterSeq(rep.text, " ")
		if rep.whole {
			pieces = func(yield func(string) bool) { yield(rep.text) }
		}
		for word := range pieces {
			if word != "" && !field(`"content":`, word) {
				return
			}
		}
		for i, call := range rep.calls {
			two := halves(call.arguments)
			if !yield(call.opening(i, two[0])) || !yield(call.rest(i, two[1])) {
				return
			}
		}
	}
}

// halves splits arguments into the two pieces that a stream sends.
func halves(arguments string) [2]string {
	half := len(arguments) / 2
	for half > 0 && arguments[half]&0xc0 == 0x80 { // not inside a character
		half--
	}
	return [2]string{arguments[:half], arguments[half:]}
}

func (call toolCall) opening(index int, arguments string) func([]byte) []byte {
	return func(b []byte) []byte {
		b = strconv.AppendInt(append(b, `"tool_calls":[{"index":`...), int64(index), 10)
		b = jsontext.AppendString(append(b, `,"id":`...), call.id)
		b = jsontext.AppendString(append(b, `,"type":"function","function":{"name":`...), call.name)
		b = jsontext.AppendString(append(b, `,"arguments":`...), arguments)
		return append(b, `}}]`...)
	}
}

func (call toolCall) rest(index int, arguments string) func([]byte) []byte {
	return func(b []byte) []byte {
		b = strconv.AppendInt(append(b, `"tool_calls":[{"index":`...), int64(index), 10)
		b = jsontext.AppendString(append(b, `,"function":{"arguments":`...), arguments)
		return append(b, `}}]`...)
	}
}

func (rep *reply) appendHead(b []byte, object string) []byte {
	b = jsontext.AppendString(append(b, `{"id":`...), rep.id)
	b = jsontext.AppendString(append(b, `,"object":`...), object)
	b = append(b, `,"created":`+created+`,"model":`...)
	return jsontext.AppendString(b, rep.model)
}

func (rep *reply) appendUsage(b []byte) []byte {
	completion := rep.completionTokens()
	b = strconv.AppendInt(append(b, `{"prompt_tokens":`...), int64(rep.promptTokens), 10)
	b = strconv.AppendInt(append(b, `,"completion_tokens":`...), int64(completion), 10)
	b = strconv.AppendInt(append(b, `,"total_tokens":`...), int64(rep.promptTokens+completion), 10)
	b = append(b, `,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":`...)
	b = strconv.AppendInt(b, int64(rep.reasoningTokens()), 10)
	return append(b, `}}`...)
}
