package compat

import (
	"net/http"
	"slices"
	"strings"

	"windlass.dev/windlass/pkg/registry"
)

// omittable are the members of a body that are left out if a server does not
// know them: what Windlass adds, and hints. The value lists the values for
// which that holds; nil means all values.
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

// essentialOfCalls are the members of a tool call that are never left out.
var essentialOfCalls = []string{"id", "type", "function", "name", "arguments", "tool_calls"}

// AfterRefusal returns the changes with which a request is worth sending again
// after an answer with that status and body; none if the refusal is final.
func AfterRefusal(r Request, status int, answer []byte) []Change {
	if !isAboutRequest(status) {
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
		all = append(all, f.changesForUnknown(path)...)
	}
	for _, text := range c.texts {
		all = append(all, f.changesForWording(text)...)
	}
	all = lastOfEach(all)
	slices.SortFunc(all, Compare) // servers list parameters in the order of a map
	return all
}

// isAboutRequest reports whether a status is of an answer about the request
// itself. Servers answer 500 if their chat template refuses messages.
func isAboutRequest(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden, http.StatusRequestTimeout,
		http.StatusRequestEntityTooLarge, http.StatusTooManyRequests:
		return false
	case http.StatusInternalServerError, http.StatusNotImplemented:
		return true
	}
	return status >= 400 && status < 500
}

// finder finds the members of a body that an answer is about.
type finder struct {
	Request
	body    object
	ofValue bool // the answer is about the value of a bound
}

// changesForUnknown returns the changes for a parameter that the server does
// not know.
func (f finder) changesForUnknown(path []string) []Change {
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
		return f.renameBound(top)
	case top == "include":
		return f.omitSealed()
	case top == "tools" || top == "response_format" || top == "text" && leaf == "strict" || leaf == "strict":
		return f.omitStrict(top, leaf)
	case top == "messages":
		return f.omitInMessages(leaf, slices.Contains(path[:len(path)-1], "tool_calls"))
	case f.body.get(top) != nil:
		return f.omitFirst(top, strings.Join(path[:min(len(path), 2)], "."))
	case len(path) == 1:
		return f.omitInMessages(leaf, false)
	}
	return nil
}

// Allowed returns those of the recalled changes that may be made in this
// request.
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
			return len(f.omitFirst(top, c.Name)) == 0
		case OmitInTools:
			return f.isClients("tools")
		case OmitInFormat:
			return f.isClients("response_format")
		case OmitInItems, OmitInCalls:
			return f.isClients("messages")
		case OmitSealed:
			return f.isClients("include")
		}
		return false
	})
}

// omitFirst leaves out the first of the names that may be left out.
func (f finder) omitFirst(names ...string) []Change {
	if f.isClients(names[0]) {
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

// renameBound is for a bound whose name the server does not know.
func (f finder) renameBound(name string) []Change {
	if f.Path != chatPath || f.body.get(name) == nil || f.body.hasValue(otherBound(name)) {
		return nil
	}
	return []Change{{Bound, otherBound(name)}}
}

func (f finder) omitSealed() []Change {
	c := Change{OmitSealed, ""}
	if f.isClients("include") || !c.mayApply(f.body.get("include")) {
		return nil
	}
	return []Change{c}
}

func (f finder) omitStrict(top, leaf string) []Change {
	has := func(name string) bool {
		return !f.isClients(name) && (Change{OmitInTools, "strict"}).mayApply(f.body.get(name))
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

// omitInMessages is for a member of messages or of their calls.
func (f finder) omitInMessages(name string, ofCalls bool) []Change {
	if f.Path != chatPath || f.isClients("messages") {
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
