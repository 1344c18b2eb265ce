package compat

import (
	"net/http"
	"slices"
	"strings"

	"windlass.dev/windlass/pkg/registry"
)

// omittable are the members of a body that are left out when a server says that
// it does not know them: what Windlass adds, and hints. The value says for
// which values; nil: for all.
var omittable = map[string][]string{
	"stream_options":         nil,        // counts tokens, Windlass adds it
	"store":                  {"false"},  // Windlass adds it
	"parallel_tool_calls":    {"true"},   // what servers do without it
	"tool_choice":            {`"auto"`}, // likewise
	"truncation":             {`"disabled"`},
	"logprobs":               {"false"},
	"metadata":               nil,
	"user":                   nil,
	"safety_identifier":      nil,
	"prompt_cache_key":       nil,
	"prompt_cache_retention": nil,
	"prompt_cache_options":   nil,
	"service_tier":           nil, // Windlass has its own queue for each tier
	"verbosity":              nil,
	"text.verbosity":         nil,
}

// essential are the members of a message that are never left out.
var essential = []string{"role", "content", "tool_calls", "tool_call_id", "refusal"}

// essentialOfCalls are those of a tool call.
var essentialOfCalls = []string{"id", "type", "function", "name", "arguments", "tool_calls"}

// Refusal returns the changes with which the request is worth sending again,
// after an answer with that status and text. None: the refusal stands.
func Refusal(r Request, status int, answer []byte) []Change {
	if !plain(status) {
		return nil
	}
	body, err := readObject(r.Body)
	if err != nil {
		return nil
	}
	c := readComplaint(answer)
	f := finder{Request: r, body: body, ofValue: slices.ContainsFunc(c.texts, ofValue.MatchString)}
	var all []Change
	for _, path := range c.paths {
		all = append(all, f.unknown(path)...)
	}
	for _, text := range c.texts {
		all = append(all, f.worded(text)...)
	}
	all = last(all)
	slices.SortFunc(all, Compare) // servers list parameters in the order of a map
	return all
}

// plain tells whether a status is one of an answer about the request itself.
// Servers answer 500 for what a chat template refuses.
func plain(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden, http.StatusRequestTimeout,
		http.StatusRequestEntityTooLarge, http.StatusTooManyRequests:
		return false
	case http.StatusInternalServerError, http.StatusNotImplemented:
		return true
	}
	return status >= 400 && status < 500
}

// finder finds what of a body an answer is about.
type finder struct {
	Request
	body    object
	ofValue bool // the answer is about the value of a bound
}

// unknown are the changes for a parameter that the server does not know.
func (f finder) unknown(path []string) []Change {
	if len(path) == 0 {
		return nil
	}
	if path[0] == "include_usage" {
		path = []string{"stream_options"}
	}
	top, leaf := path[0], path[len(path)-1]
	switch {
	case top == registry.MaxTokens || top == registry.MaxCompletionTokens:
		if f.ofValue {
			return nil
		}
		return f.otherName(top)
	case top == "include":
		return f.unseal()
	case top == "tools" || top == "response_format" || top == "text" && leaf == "strict" || leaf == "strict":
		return f.strict(top, leaf)
	case top == "messages":
		return f.inMessages(leaf, slices.Contains(path[:len(path)-1], "tool_calls"))
	case f.body.get(top) != nil:
		return f.omit(top, strings.Join(path[:min(len(path), 2)], "."))
	case len(path) == 1:
		return f.inMessages(leaf, false)
	}
	return nil
}

// Allowed are those of the changes learnt with other requests that may be made
// in this one.
func Allowed(r Request, changes []Change) []Change {
	if len(changes) == 0 {
		return nil
	}
	body, err := readObject(r.Body)
	if err != nil {
		return nil
	}
	f := finder{Request: r, body: body}
	return slices.DeleteFunc(slices.Clone(changes), func(c Change) bool {
		switch c.Kind {
		case Omit:
			top, _, _ := strings.Cut(c.Name, ".")
			return len(f.omit(top, c.Name)) == 0
		case OmitInTools:
			return f.given("tools")
		case OmitInFormat:
			return f.given("response_format")
		case OmitInItems, OmitInCalls:
			return f.given("messages")
		case OmitSealed:
			return f.given("include")
		}
		return false
	})
}

// omit leaves out the first of the names that can be.
func (f finder) omit(names ...string) []Change {
	if f.given(names[0]) {
		return nil
	}
	for _, name := range names {
		values, ok := omittable[name]
		if ok && (values == nil || slices.Contains(values, string(f.body.get(name)))) {
			return []Change{{Omit, name}}
		}
	}
	return nil
}

// otherName is for a bound whose name the server does not know.
func (f finder) otherName(name string) []Change {
	if f.Path != chatPath || f.body.get(name) == nil || f.body.given(otherBound(name)) {
		return nil
	}
	return []Change{{Bound, otherBound(name)}}
}

func (f finder) unseal() []Change {
	c := Change{OmitSealed, ""}
	if f.given("include") || !c.concerns(f.body.get("include")) {
		return nil
	}
	return []Change{c}
}

func (f finder) strict(top, leaf string) []Change {
	has := func(name string) bool {
		return !f.given(name) && (Change{OmitInTools, "strict"}).concerns(f.body.get(name))
	}
	format := "response_format"
	if f.responses() {
		format = "text"
	}
	switch {
	case leaf != "strict":
		return nil
	case top != format && has("tools"):
		return []Change{{OmitInTools, leaf}}
	case top != "tools" && has(format):
		return []Change{{OmitInFormat, leaf}}
	}
	return nil
}

// inMessages is for a member of messages or of their calls.
func (f finder) inMessages(name string, ofCalls bool) []Change {
	if f.Path != chatPath || f.given("messages") {
		return nil
	}
	for _, m := range readObjects(f.body.get("messages")) {
		if !ofCalls && m.get(name) != nil && !slices.Contains(essential, name) {
			return []Change{{OmitInItems, name}}
		}
		for _, call := range readObjects(m.get("tool_calls")) {
			if call.get(name) != nil && !slices.Contains(essentialOfCalls, name) {
				return []Change{{OmitInCalls, name}}
			}
		}
	}
	return nil
}
