package chat

import (
	"encoding/json"
	"slices"
	"strings"

	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/rawjson"
)

// delta is a message or a piece of one. Each member is read on its own; members
// of unexpected types are ignored.
type delta struct {
	content  []contentPart
	listed   bool // the content was a list of parts
	refusal  string
	thoughts []reasoning
	calls    []callPiece
	legacy   bool // the only call is a function_call
	extra    []member
}

// member is a member of an object.
type member struct {
	name  string
	value json.RawMessage
}

// reasoning is a piece of a model's reasoning and the member that had it.
// shaped means that the member was no string; it is then kept in extra, too.
type reasoning struct {
	name, text string
	shaped     bool
}

// reasoningMembers names the members that servers use for reasoning, the most
// common one first.
var reasoningMembers = [...]string{"reasoning_content", "reasoning", "thinking"}

// readMessage reads a message or a delta.
func readMessage(v json.RawMessage) delta {
	var s delta
	var legacy json.RawMessage
	var thoughts [len(reasoningMembers)]json.RawMessage
	for name, m := range rawjson.Members(v) {
		switch name {
		case "role":
		case "content":
			s.content, s.listed = readContent(m), rawjson.Kind(m) == '[' || rawjson.Kind(m) == '{'
		case "refusal":
			s.refusal = readRefusal(m)
		case "tool_calls":
			s.calls = readCalls(m)
		case "function_call":
			legacy = m
		case "reasoning_content", "reasoning", "thinking":
			thoughts[slices.Index(reasoningMembers[:], name)] = m
		default:
			s.extra = append(s.extra, member{name, m})
		}
	}
	for i, name := range reasoningMembers {
		switch m := thoughts[i]; rawjson.Kind(m) {
		case '"':
			s.thoughts = append(s.thoughts, reasoning{name: name, text: rawjson.Text(m)})
		case '[', '{':
			s.thoughts = append(s.thoughts, reasoning{name, readText(m, maxNested), true})
			s.extra = append(s.extra, member{name, m})
		}
	}
	if rawjson.Kind(legacy) == '{' && len(s.calls) == 0 {
		s.calls, s.legacy = []callPiece{readFunction(callPiece{index: none}, legacy)}, true
	}
	return s
}

// readRefusal reads the text of a refusal. Booleans and numbers are no refusal.
func readRefusal(v json.RawMessage) string {
	if k := rawjson.Kind(v); k == '"' || k == '[' || k == '{' {
		return readText(v, maxNested)
	}
	return ""
}

// contentPart is a part of a message's content.
type contentPart struct {
	kind partKind
	text string
	raw  json.RawMessage // the element of a list
}

// partKind is the type of a part. Unknown parts are ignored.
type partKind int

const (
	unknownPart partKind = iota
	textPart
	thoughtPart
	refusalPart
)

// readContent reads the content of a message: a text, parts in a list, or one
// part.
func readContent(v json.RawMessage) []contentPart {
	switch rawjson.Kind(v) {
	case 0, 'n':
		return nil
	case '[', '{':
		var all []contentPart
		for e := range rawjson.Elements(v) {
			all = append(all, readPart(e))
		}
		return all
	}
	return []contentPart{{kind: textPart, text: rawjson.Scalar(v)}}
}

func readPart(v json.RawMessage) contentPart {
	if rawjson.Kind(v) == '"' {
		return contentPart{kind: textPart, text: rawjson.Text(v), raw: v}
	}
	p := contentPart{raw: v}
	switch rawjson.Text(rawjson.Member(v, "type")) {
	case "text", "output_text", "input_text", "":
		p.kind = textPart
	case "thinking", "thought", "reasoning", "reasoning_text", "reasoning.text", "summary_text":
		p.kind = thoughtPart
	case "refusal":
		p.kind = refusalPart
	default:
		return p
	}
	p.text = readText(v, maxNested)
	return p
}

// textMembers names the members that may hold the text of an object.
var textMembers = []string{"text", "thinking", "reasoning", "refusal", "content", "summary", "value"}

// maxNested is how deep readText looks into lists and objects.
const maxNested = 4

// readText returns the text of a string, of all elements of a list, or of an
// object's text member.
func readText(v json.RawMessage, depth int) string {
	switch kind := rawjson.Kind(v); {
	case kind == '"':
		return rawjson.Text(v)
	case depth == 0:
	case kind == '[':
		var b strings.Builder
		for e := range rawjson.Elements(v) {
			b.WriteString(readText(e, depth-1))
		}
		return b.String()
	case kind == '{':
		for _, name := range textMembers {
			if text := readText(rawjson.Member(v, name), depth-1); text != "" {
				return text
			}
		}
	}
	return ""
}

// none is the index of a piece without an index.
const none = -1

// callPiece is a call or a piece of one.
type callPiece struct {
	id, name, arguments string
	index               int
	typed               bool     // has a type, as first pieces do
	apart               bool     // begins a call: the chunk has another call at the same index
	call, function      []member // unknown ones
}

// readCalls reads a list of calls, or one call in place of a list.
func readCalls(v json.RawMessage) []callPiece {
	var all []callPiece
	for e := range rawjson.Elements(v) {
		if rawjson.Kind(e) == '{' {
			p := readCall(e)
			p.apart = p.id == "" && p.name != "" && slices.ContainsFunc(all, func(before callPiece) bool {
				return before.name != "" && before.index == p.index
			})
			all = append(all, p)
		}
	}
	return all
}

func readCall(v json.RawMessage) callPiece {
	p := callPiece{index: none}
	var flat []member
	for name, m := range rawjson.Members(v) {
		switch name {
		case "id":
			p.id = rawjson.Scalar(m)
		case "type":
			p.typed = rawjson.IsSet(m)
		case "index":
			if k := rawjson.Kind(m); k >= '0' && k <= '9' || k == '"' && len(m) > 2 {
				p.index = int(rawjson.Count(m))
			}
		case "function":
			p = readFunction(p, m)
		case "name", "arguments": // without a function object
			flat = append(flat, member{name, m})
		default:
			p.call = append(p.call, member{name, m})
		}
	}
	for _, m := range flat {
		if m.name == "name" && p.name == "" {
			p.name = rawjson.Text(m.value)
		}
		if m.name == "arguments" && p.arguments == "" {
			p.arguments = model.ReadArguments(m.value)
		}
	}
	return p
}

func readFunction(p callPiece, v json.RawMessage) callPiece {
	for name, m := range rawjson.Members(v) {
		switch name {
		case "name":
			p.name = rawjson.Text(m)
		case "arguments":
			p.arguments = model.ReadArguments(m)
		default:
			p.function = append(p.function, member{name, m})
		}
	}
	return p
}

// brackets tracks whether a JSON text that arrives in pieces is complete.
type brackets struct {
	depth        int
	began, ended bool
	quoted, skip bool
}

func (b *brackets) count(text string) {
	for i := range len(text) {
		switch c := text[i]; {
		case b.skip:
			b.skip = false
		case b.quoted:
			b.skip, b.quoted = c == '\\', c != '"'
		case c == '"':
			b.quoted = true
		case c == '{' || c == '[':
			b.began, b.ended = true, false
			b.depth++
		case c == '}' || c == ']':
			b.depth--
			b.ended = b.began && b.depth <= 0
		}
	}
}

// placeholders are empty arguments that some servers send before the real ones.
var placeholders = []string{model.NoArguments, "null", "[]"}

// whole reports whether the arguments are an object that has ended.
func (c *pendingCall) isWhole() bool { return c.ended || c.isPlaceholder() }

// placeholder reports whether real arguments may replace those so far.
func (c *pendingCall) isPlaceholder() bool {
	return slices.Contains(placeholders, c.text.String())
}

// unfinished reports whether the arguments have begun and are not whole.
func (c *pendingCall) isUnfinished() bool { return c.text.Len() > 0 && !c.isWhole() }
