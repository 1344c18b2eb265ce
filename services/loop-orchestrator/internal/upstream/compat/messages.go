package compat

import (
	"crypto/sha256"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"windlass.dev/windlass/pkg/registry"
)

// message is a chat completion's message after the change.
func (c Change) message(m object) object {
	switch c.Kind {
	case OmitInItems:
		return m.without(c.Name)
	case EmptyText:
		if m.text("role") == "assistant" && m.given("tool_calls") && !m.given("content") {
			return m.set("content", quote(""))
		}
	case OmitInCalls:
		return eachCall(m, func(call object) object { return call.without(c.Name) })
	case NineIDs:
		m = eachCall(m, func(call object) object { return shorten(call, "id") })
		return shorten(m, "tool_call_id")
	}
	return m
}

func eachCall(m object, change func(object) object) object {
	calls := readObjects(m.get("tool_calls"))
	if len(calls) == 0 {
		return m
	}
	for i, call := range calls {
		calls[i] = change(call)
	}
	return m.set("tool_calls", list(calls))
}

var nine = regexp.MustCompile(`^[a-zA-Z0-9]{9}$`)

// shorten replaces an id that is not of 9 letters and digits. Equal ids stay
// equal; 62^9 others make it unlikely that two meet.
func shorten(o object, name string) object {
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

// nameResults gives the results of tools the names that their calls have.
func nameResults(messages []object) {
	names := map[string]json.RawMessage{}
	for i, m := range messages {
		for _, call := range readObjects(m.get("tool_calls")) {
			f, err := readObject(call.get("function"))
			if err == nil && f.given("name") {
				names[call.text("id")] = f.get("name")
			}
		}
		if name := names[m.text("tool_call_id")]; m.text("role") == "tool" && name != nil && !m.given("name") {
			messages[i] = m.set("name", name)
		}
	}
}

// roles sends what developers and the system say as the role that is wanted.
func (e *editor) roles(as string) {
	if e.responses {
		e.responsesRoles(as)
		return
	}
	e.read()
	if as == registry.RoleSystem {
		renameRole(e.messages)
		return
	}
	text, rest, ok := gather(e.messages)
	if !ok || text == "" {
		renameRole(e.messages)
		return
	}
	if as == registry.RoleMerge {
		e.messages = append([]object{message("system", text)}, rest...)
		return
	}
	e.messages = prepend(text, rest)
}

func message(role, text string) object {
	return object{{"role", quote(role)}, {"content", quote(text)}}
}

// renameRole makes developer messages the system's.
func renameRole(messages []object) {
	for i, m := range messages {
		if m.text("role") == registry.RoleDeveloper {
			messages[i] = m.set("role", quote(registry.RoleSystem))
		}
	}
}

func instructs(m object) bool {
	role := m.text("role")
	return role == registry.RoleDeveloper || role == registry.RoleSystem
}

// gather takes the texts of developers and of the system out. ok: all of them
// are texts.
func gather(messages []object) (text string, rest []object, ok bool) {
	var texts []string
	for _, m := range messages {
		if !instructs(m) {
			rest = append(rest, m)
			continue
		}
		t, ok := textOf(m.get("content"))
		if !ok {
			return "", nil, false
		}
		if t != "" {
			texts = append(texts, t)
		}
	}
	return strings.Join(texts, "\n\n"), rest, true
}

// textOf reads content that is a text or a list of texts.
func textOf(content json.RawMessage) (string, bool) {
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

// prepend puts a text before the first message if that is a user's text, or
// else makes it a user's message of its own.
func prepend(text string, messages []object) []object {
	if len(messages) > 0 && messages[0].text("role") == "user" {
		first := messages[0]
		if said, ok := textOf(first.get("content")); ok {
			out := slices.Clone(messages)
			out[0] = first.set("content", quote(text+"\n\n"+said))
			return out
		}
		var parts []json.RawMessage
		if json.Unmarshal(first.get("content"), &parts) == nil {
			head := object{{"type", quote("text")}, {"text", quote(text)}}.json()
			joined, err := json.Marshal(append([]json.RawMessage{head}, parts...))
			if err == nil {
				out := slices.Clone(messages)
				out[0] = first.set("content", joined)
				return out
			}
		}
	}
	return append([]object{message("user", text)}, messages...)
}

// responsesRoles is roles for the Responses API: a merged message becomes the
// instructions.
func (e *editor) responsesRoles(as string) {
	items := readObjects(e.body.get("input"))
	if items == nil {
		return
	}
	text, rest, ok := gather(items)
	if as == registry.RoleSystem || !ok {
		renameRole(items)
		e.body = e.body.set("input", list(items))
		return
	}
	if text == "" {
		return
	}
	if first := e.body.text("instructions"); first != "" {
		text = first + "\n\n" + text
	}
	e.body = e.body.set("input", list(rest)).set("instructions", quote(text))
}
