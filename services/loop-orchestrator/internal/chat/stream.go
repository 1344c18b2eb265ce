package chat

import (
	"encoding/json"
	"fmt"
	"strings"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/loop-orchestrator/internal/loose"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// maxCalls bounds the calls of one answer: more of them are a fault of the
// upstream.
const maxCalls = 4096

// stream collects the chunks of one chat completion, or the only message of a
// whole one. Outputs are opened in the order in which their first pieces come:
// mostly the reasoning, the message, the calls.
type stream struct {
	listen   model.Listen
	outputs  []*output // that were opened
	thinking *output
	message  *output
	calls    callers

	thoughtBy string   // the member by which the reasoning comes
	silentBy  string   // a member for reasoning that was there and empty
	attached  attached // to the message
	listed    bool     // the content came as a list at least once
	kinds     bool     // and not all of it was text
	left      int      // of maxAttached

	chosen bool // a choice was there
	finish string
	native string // the reason of the server behind a router
	done   bool   // the upstream said [DONE]
	legacy bool   // the call came as a function_call

	complete bool // the answer comes whole: each call is one
	usage    responses.Usage
}

// output is one output on its way.
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

// Event takes a chunk. Chunks that say nothing are passed over.
func (s *stream) Event(data []byte) error {
	v, ok := loose.Valid(data)
	if !ok {
		return fmt.Errorf("%w: %d bytes that are no chunk of a chat completion", model.ErrMalformed, len(data))
	}
	var choices, failure json.RawMessage
	for name, m := range loose.Members(v) {
		switch name {
		case "choices":
			choices = m
		case "usage":
			count(&s.usage, m)
		case "error":
			failure = m
		}
	}
	if err := reported(failure); err != nil {
		return err
	}
	for c := range loose.Elements(choices) {
		return s.choice(c) // one was asked for
	}
	return nil
}

// choice takes the piece of an answer that a chunk has, or a whole answer.
func (s *stream) choice(v json.RawMessage) error {
	var delta, message, logprobs, failure json.RawMessage
	ended := false
	for name, m := range loose.Members(v) {
		switch name {
		case "delta":
			delta = m
		case "message":
			message = m
		case "logprobs":
			logprobs = model.Logprobs(loose.Member(m, "content"))
		case "finish_reason":
			if reason := loose.Word(m); reason != "" {
				s.finish, ended = reason, true
			}
		case "native_finish_reason":
			if reason := loose.Word(m); reason != "" {
				s.native = reason
			}
		case "usage":
			count(&s.usage, m)
		case "error":
			failure = m
		}
	}
	s.chosen = true
	if err := reported(failure); err != nil {
		return err
	}
	inMessage := len(delta) <= len("{}") && loose.Given(message) // in its place, or beside an empty one
	if inMessage {
		delta = message
	}
	d := understand(delta)
	d.whole = inMessage && ended && len(s.outputs) > 0
	return s.take(d, logprobs, ended)
}

// take takes what was said. last: nothing follows, and some servers say all of
// it again.
func (s *stream) take(d said, logprobs json.RawMessage, last bool) error {
	for _, t := range d.thoughts {
		s.think(t, last)
	}
	s.say(d, logprobs, last)
	for _, m := range d.extra {
		s.attached.take(m.name, m.value, &s.left)
	}
	if d.legacy && len(s.calls.all) > 0 && !s.legacy {
		return nil // the call is there already, by its newer name
	}
	s.legacy = d.legacy
	for _, p := range d.calls {
		if d.whole && s.calls.has(p) {
			continue
		}
		p.apart = p.apart || s.complete
		if err := s.call(p); err != nil {
			return err
		}
	}
	return nil
}

func (s *stream) open(o *output, kind model.Kind) *output {
	o.place, o.textAt, o.refuseAt, o.Kind = len(s.outputs), -1, -1, kind
	s.outputs = append(s.outputs, o)
	return o
}

// think takes a piece of what the model thought. Where it comes by two members,
// the client sees the one that came first; the other goes back beside it.
func (s *stream) think(t thought, last bool) {
	switch {
	case t.text == "":
		if s.silentBy == "" && !t.shaped {
			s.silentBy = t.name
		}
		return
	case s.thoughtBy == "":
		s.thoughtBy = t.name
	case s.thoughtBy != t.name:
		if !t.shaped && t.name != byContent {
			s.attached.take(t.name, appendText(nil, t.text), &s.left)
		}
		return
	}
	if s.thinking == nil {
		s.thinking = s.open(&output{}, model.Reasoning)
		s.thinking.Own = nil
	}
	text := s.thinking.unsaid(&s.thinking.text, t.text, last)
	if text == "" {
		return
	}
	s.listen(model.Delta{Output: s.thinking.place, Kind: model.Reasoning, Piece: item.Part{Type: "reasoning_text", Text: text}})
}

// byContent stands for reasoning that comes as parts of the content.
const byContent = "content"

// say takes a piece of the message's content and of a refusal.
func (s *stream) say(d said, logprobs json.RawMessage, last bool) {
	s.keepParts(d)
	for _, p := range d.content {
		switch p.kind {
		case thoughtPart:
			s.think(thought{name: byContent, text: p.text}, last)
		case textPart:
			s.text(p.text, logprobs, last)
			logprobs = nil
		case refusalPart:
			s.refuse(p.text, last)
		}
	}
	s.refuse(d.refusal, last)
}

// keepParts keeps content that came in parts, for it goes back as it came.
func (s *stream) keepParts(d said) {
	if !s.listed && !d.listed {
		return
	}
	one := func(b []byte) { s.attached.take(byContent, append(append([]byte("["), b...), ']'), &s.left) }
	plain := func(text string) []byte { return append(appendText([]byte(`{"type":"text","text":`), text), '}') }
	if !s.listed && s.message != nil && s.message.text.Len() > 0 {
		one(plain(s.message.text.String()))
	}
	s.listed = true
	for _, p := range d.content {
		s.kinds = s.kinds || p.kind != textPart
		switch {
		case d.listed:
			one(p.raw)
		case p.text != "":
			one(plain(p.text))
		}
	}
}

func (s *stream) text(text string, logprobs json.RawMessage, last bool) {
	if text == "" {
		return
	}
	m := s.spoken()
	if text = m.unsaid(&m.text, text, last); text == "" {
		return
	}
	if logprobs != nil {
		m.logprobs = append(m.logprobs, logprobs)
	}
	s.listen(model.Delta{
		Output: m.place, Kind: model.Message, Part: m.part(&m.textAt),
		Piece: item.Part{Type: "output_text", Text: text, Logprobs: logprobs},
	})
}

func (s *stream) refuse(text string, last bool) {
	if text == "" {
		return
	}
	m := s.spoken()
	if text = m.unsaid(&m.refusal, text, last); text == "" {
		return
	}
	s.listen(model.Delta{Output: m.place, Kind: model.Message, Part: m.part(&m.refuseAt), Piece: item.Part{Type: "refusal", Text: text}})
}

func (s *stream) spoken() *output {
	if s.message == nil {
		s.message = s.open(&output{}, model.Message)
	}
	return s.message
}

func (o *output) part(at *int) int {
	if *at < 0 {
		*at = o.parts
		o.parts++
	}
	return *at
}

// minRepeat is how long a text has to be to be taken for one that is said again
// as a whole, and not for a piece that happens to be the same.
const minRepeat = 16

// unsaid adds a piece to a text and returns what of it is new: the last piece
// of some servers is all of the text again.
func (o *output) unsaid(sofar *strings.Builder, piece string, last bool) string {
	if last && o.pieces > 1 && sofar.Len() >= minRepeat {
		if rest, again := strings.CutPrefix(piece, sofar.String()); again {
			piece = rest
		}
	}
	o.pieces++
	sofar.WriteString(piece)
	return piece
}
