package chat

import (
	"encoding/json"
	"fmt"
	"strings"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/rawjson"
)

// maxCalls bounds the calls of one answer, and their indexes.
const maxCalls = 4096

// stream collects the chunks of a chat completion. Outputs are opened in the
// order of their first pieces: usually the reasoning, the message, the calls.
type stream struct {
	listen    model.Listen
	outputs   []*output // opened ones, in order
	reasoning *output
	message   *output
	calls     pendingCalls

	reasoningMember string   // the member that has the reasoning
	emptyMember     string   // a member for reasoning that was empty
	attached        attached // to the message
	listed          bool     // some content was a list of parts
	kinds           bool     // some parts were not text
	left            int      // rest of maxAttached

	chosen       bool // there was a choice
	finish       string
	nativeReason string // native_finish_reason
	done         bool   // [DONE] arrived
	legacy       bool   // the call is a function_call

	deltas   bool // some chunk had a delta
	repeats  bool // the last chunk repeats the whole message
	complete bool // the answer is not streamed: each element is a call
	usage    responses.Usage
}

// output is an output that may be incomplete.
type output struct {
	model.Output
	place            int // -1: not opened yet
	text, refusal    strings.Builder
	textAt, refuseAt int // the parts' places; -1: none yet
	parts, pieces    int
	logprobs         []json.RawMessage
}

// Stream reads a chat completion that comes in chunks.
func (Dialect) Stream(listen model.Listen) model.Stream { return newStream(listen) }

func newStream(listen model.Listen) *stream {
	return &stream{listen: listen, left: maxAttached}
}

// Event adds a chunk. Chunks without choices and usage are ignored.
func (s *stream) Event(data []byte) error {
	v, ok := rawjson.Valid(data)
	if !ok {
		return fmt.Errorf("%w: %d bytes that are no chunk of a chat completion", model.ErrMalformed, len(data))
	}
	var choices json.RawMessage
	for name, m := range rawjson.Members(v) {
		switch name {
		case "choices":
			choices = m
		case "usage":
			addUsage(&s.usage, m)
		}
	}
	for c := range rawjson.Elements(choices) {
		return s.addChoice(c) // the request asks for one
	}
	return nil
}

// addChoice adds a choice of a chunk or of a complete answer.
func (s *stream) addChoice(v json.RawMessage) error {
	var delta, message, logprobs json.RawMessage
	ended := false
	for name, m := range rawjson.Members(v) {
		switch name {
		case "delta":
			delta = m
		case "message":
			message = m
		case "logprobs":
			logprobs = model.Logprobs(rawjson.Member(m, "content"))
		case "finish_reason":
			if reason := rawjson.Scalar(m); reason != "" {
				s.finish, ended = reason, true
			}
		case "native_finish_reason":
			if reason := rawjson.Scalar(m); reason != "" {
				s.nativeReason = reason
			}
		case "usage":
			addUsage(&s.usage, m)
		}
	}
	s.chosen = true
	inMessage := len(delta) <= len("{}") && rawjson.IsSet(message) // in place of a delta, or beside an empty one
	if inMessage {
		delta = message
	}
	d := readMessage(delta)
	s.repeats = inMessage && ended && s.deltas
	s.deltas = s.deltas || !inMessage && len(delta) > len("{}")
	return s.add(d, logprobs, ended)
}

// add adds a message or a piece of one. last means that the chunk has a
// finish_reason: some servers repeat the whole message there.
func (s *stream) add(d delta, logprobs json.RawMessage, last bool) error {
	for _, t := range d.thoughts {
		s.addReasoning(t, last)
	}
	s.addContent(d, logprobs, last)
	for _, m := range d.extra {
		s.attach(m.name, m.value)
	}
	if d.legacy && len(s.calls.all) > 0 && !s.legacy {
		return nil // a copy of a tool call
	}
	s.legacy = d.legacy
	for _, p := range d.calls {
		if s.repeats && s.calls.contains(p) {
			continue
		}
		p.apart = p.apart || s.complete
		if err := s.addCall(p); err != nil {
			return err
		}
	}
	return nil
}

// attach keeps an unknown member of the message, or a piece of one.
func (s *stream) attach(name string, v json.RawMessage) {
	if !s.repeats || s.attached.members[name] == nil {
		s.attached.add(name, v, &s.left)
	}
}

func (s *stream) open(o *output, kind model.Kind) *output {
	o.place, o.textAt, o.refuseAt, o.Kind = len(s.outputs), -1, -1, kind
	s.outputs = append(s.outputs, o)
	return o
}

// addReasoning adds a piece of reasoning. If two members have reasoning, the
// client sees the first one; the other one is kept to be sent back.
func (s *stream) addReasoning(t reasoning, last bool) {
	switch {
	case t.text == "":
		if s.emptyMember == "" && !t.shaped {
			s.emptyMember = t.name
		}
		return
	case s.reasoningMember == "":
		s.reasoningMember = t.name
	case s.reasoningMember != t.name:
		if !t.shaped && t.name != contentMember {
			s.attach(t.name, rawjson.AppendQuote(nil, t.text))
		}
		return
	}
	if s.reasoning == nil {
		s.reasoning = s.open(&output{}, model.Reasoning)
	}
	text := s.appendNew(s.reasoning, &s.reasoning.text, t.text, last)
	if text == "" {
		return
	}
	s.listen(model.Delta{
		Output: s.reasoning.place, Kind: model.Reasoning, Piece: item.Part{Type: "reasoning_text", Text: text},
	})
}

// contentMember is the reasoningMember of reasoning in parts of the content.
const contentMember = "content"

// addContent adds a piece of the message's content and of a refusal.
func (s *stream) addContent(d delta, logprobs json.RawMessage, last bool) {
	s.keepParts(d)
	for _, p := range d.content {
		switch p.kind {
		case thoughtPart:
			s.addReasoning(reasoning{name: contentMember, text: p.text}, last)
		case textPart:
			s.addText(p.text, logprobs, last)
			logprobs = nil
		case refusalPart:
			s.addRefusal(p.text, last)
		}
	}
	s.addRefusal(d.refusal, last)
}

func (s *stream) addText(text string, logprobs json.RawMessage, last bool) {
	if text == "" {
		return
	}
	m := s.openMessage()
	if text = s.appendNew(m, &m.text, text, last); text == "" {
		return
	}
	if logprobs != nil {
		m.logprobs = append(m.logprobs, logprobs)
	}
	s.listen(model.Delta{
		Output: m.place, Kind: model.Message, Part: m.placeOf(&m.textAt),
		Piece: item.Part{Type: "output_text", Text: text, Logprobs: logprobs},
	})
}

func (s *stream) addRefusal(text string, last bool) {
	if text == "" {
		return
	}
	m := s.openMessage()
	if text = s.appendNew(m, &m.refusal, text, last); text == "" {
		return
	}
	s.listen(model.Delta{
		Output: m.place, Kind: model.Message, Part: m.placeOf(&m.refuseAt),
		Piece: item.Part{Type: "refusal", Text: text},
	})
}

func (s *stream) openMessage() *output {
	if s.message == nil {
		s.message = s.open(&output{}, model.Message)
	}
	return s.message
}

func (o *output) placeOf(at *int) int {
	if *at < 0 {
		*at = o.parts
		o.parts++
	}
	return *at
}

// minRepeat is the length from which a piece that equals the text so far counts
// as a repetition of it.
const minRepeat = 16

// appendNew adds a piece to a text and returns its new part: some servers
// repeat the whole text in the last piece.
func (s *stream) appendNew(o *output, sofar *strings.Builder, piece string, last bool) string {
	if s.repeats || last && o.pieces > 1 && sofar.Len() >= minRepeat {
		if rest, again := strings.CutPrefix(piece, sofar.String()); again {
			piece = rest
		}
	}
	o.pieces++
	sofar.WriteString(piece)
	return piece
}
