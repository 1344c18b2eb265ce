package compat

import (
	"crypto/sha256"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"windlass.dev/windlass/pkg/registry"
)

// changeMessage returns a chat completion's message after the change.
func (c Change) changeMessage(m object) object {
	switch c.Kind {
	case OmitInItems:
		return m.without(c.Name)
	case EmptyText:
		if m.text("role") == "assistant" && m.hasValue("tool_calls") && !m.hasValue("content") {
			return m.set("content", quote(""))
		}
	case OmitInCalls:
		return changeCalls(m, func(call object) object { return call.without(c.Name) })
	case NineIDs:
		m = changeCalls(m, func(call object) object { return shortenID(call, "id") })
		return shortenID(m, "tool_call_id")
	}
	return m
}

func changeCalls(m object, change func(object) object) object {
	calls := readObjects(m.get("tool_calls"))
	if len(calls) == 0 {
		return m
	}
	for i, call := range calls {
		calls[i] = change(call)
	}
	return m.set("tool_calls", encodeList(calls))
}

var nine = regexp.MustCompile(`^[a-zA-Z0-9]{9}$`)

// shortenID replaces an id that is not of 9 letters and digits. Equal ids stay
// equal; with 62^9 others, two different ids hardly become equal.
func shortenID(o object, name string) object {
	id := o.text(name)
	if id == "" || nine.MatchString(id) {
		return o
	}
	const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	sum := sha256.Sum256([]byte(id))
	short := make([]byte, 9)
	for i := range short {
		short[i] = digits[int(sum[i])%len(digits)]
	}
	return o.set(name, quote(string(short)))
}

// nameResults gives the results of tools the names of their calls.
func nameResults(messages []object) {
	names := map[string]json.RawMessage{}
	for i, m := range messages {
		for _, call := range readObjects(m.get("tool_calls")) {
			f, err := readObject(call.get("function"))
			if err == nil && f.hasValue("name") {
				names[call.text("id")] = f.get("name")
			}
		}
		if name := names[m.text("tool_call_id")]; m.text("role") == "tool" && name != nil && !m.hasValue("name") {
			messages[i] = m.set("name", name)
		}
	}
}

// changeRoles sends developer and system messages in the role that is wanted.
func (e *editor) changeRoles(as string) {
	if e.responses {
		e.changeResponsesRoles(as)
		return
	}
	e.readMessages()
	if as == registry.RoleSystem {
		renameRole(e.messages)
		return
	}
	text, rest, ok := splitInstructions(e.messages)
	if !ok || text == "" {
		renameRole(e.messages)
		return
	}
	if as == registry.RoleMerge {
		e.messages = append([]object{newMessage("system", text)}, rest...)
		return
	}
	e.messages = prependText(text, rest)
}

func newMessage(role, text string) object {
	return object{{"role", quote(role)}, {"content", quote(text)}}
}

// renameRole turns developer messages into system messages.
func renameRole(messages []object) {
	for i, m := range messages {
		if m.text("role") == registry.RoleDeveloper {
			messages[i] = m.set("role", quote(registry.RoleSystem))
		}
	}
}

func isInstruction(m object) bool {
	role := m.text("role")
	return role == registry.RoleDeveloper || role == registry.RoleSystem
}

// splitInstructions takes the texts of developer and system messages out. ok
// reports that all of them are plain text.
func splitInstructions(messages []object) (text string, rest []object, ok bool) {
	var texts []string
	for _, m := range messages {
		if !isInstruction(m) {
			rest = append(rest, m)
			continue
		}
		t, ok := readText(m.get("content"))
		if !ok {
			return "", nil, false
		}
		if t != "" {
			texts = append(texts, t)
		}
	}
	return strings.Join(texts, "\n\n"), rest, true
}

// readText reads content that is a text or a list of texts.
func readText(content json.RawMessage) (string, bool) {
	var text string
	if json.Unmarshal(content, &text) == nil { // null is ""
		return text, true
	}
	parts := readObjects(content)
	if parts == nil {
		return "", false
	}
	texts := make([]string, len(parts))
	for i, p := range parts {
		if !slices.Contains([]string{"text", "input_text"}, p.text("type")) {
			return "", false
		}
		texts[i] = p.text("text")
	}
	return strings.Join(texts, "\n"), true
}

// prependText puts a text before the first message if that is a user's, or else
// adds a user message before it.
func prependText(text string, messages []object) []object {
	if len(messages) > 0 && messages[0].text("role") == "user" {
		first := messages[0]
		if said, ok := readText(first.get("content")); ok {
			out := slices.Clone(messages)
			out[0] = first.set("content", quote(text+"\n\n"+said))
			return out
		}
		var parts []json.RawMessage
		if json.Unmarshal(first.get("content"), &parts) == nil {
			head := object{{"type", quote("text")}, {"text", quote(text)}}.encode()
			joined, err := json.Marshal(append([]json.RawMessage{head}, parts...))
			if err == nil {
				out := slices.Clone(messages)
				out[0] = first.set("content", joined)
				return out
			}
		}
	}
	return append([]object{newMessage("user", text)}, messages...)
}

// changeResponsesRoles is changeRoles for the Responses API: a merged message
// becomes the instructions.
func (e *editor) changeResponsesRoles(as string) {
	items := readObjects(e.body.get("input"))
	if items == nil {
		return
	}
	text, rest, ok := splitInstructions(items)
	if as == registry.RoleSystem || !ok {
		renameRole(items)
		e.body = e.body.set("input", encodeList(items))
		return
	}
	if text == "" {
		return
	}
	if first := e.body.text("instructions"); first != "" {
		text = first + "\n\n" + text
	}
	e.body = e.body.set("input", encodeList(rest)).set("instructions", quote(text))
}
