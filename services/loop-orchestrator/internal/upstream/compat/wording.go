package compat

import (
	"regexp"
	"slices"
	"strings"

	"windlass.dev/windlass/pkg/registry"
)

var (
	// The role developer: Unexpected message role. · unknown variant
	// `developer` · 'developer' is not one of · Input tag 'developer' found
	// using 'role' · Unknown role: developer · does not support 'developer'
	noDeveloper = anyOf(
		`(?:unexpected|unknown|unsupported|invalid|unrecognized)(?: message)? role`,
		"[\"'`]?developer[\"'`]?.{0,40}(?:is not one of|does not match|unsupported|invalid)",
		"[\"'`]?developer[\"'`]?.{0,40}not (?:supported|allowed|recognized)",
		"unknown variant [\"'`]?developer",
		"(?:tag|value:?|support|role:?) [\"'`]?developer",
		`\brole\b.{0,30}(?:must|should) be\b|\brole\b.{0,30}\bnot (?:valid|one of|in|supported|allowed|recognized)`,
		`input should be .?'(?:system|user|assistant|tool)'`,
	)
	// One system message only, and first: Qwen, Gemma 3 and Mistral templates.
	oneSystem = anyOf(
		`system (?:message|role|prompt)s?.{0,40}(?:must|should|can only|has to).{0,20}(?:beginning|first|start)`,
		`roles must alternate`,
		`only user,? (?:and )?assistant.{0,20}roles are supported`,
		`initial optional system message`,
		`unexpected (?:message )?role`,
		`multiple system`,
		`only one system`,
		`after the (?:optional )?system`,
	)
	// No system message at all: Gemma 2, o1.
	noSystem = anyOf(
		`system (?:role|messages?|prompts?) (?:is |are )?not supported`,
		"(?:does not|doesn't) support (?:the )?(?:role )?[\"'`]?system",
		"unknown variant [\"'`]?system",
	)
	// Content beside calls: LM Studio, llama.cpp, llama-cpp-python, serde.
	noNull = anyOf(
		`content['"]?(?: field)? (?:must|should) be a string`,
		`expected ['"]?content['"]? to be a string`,
		`invalid (?:message )?content type: <nil>`,
		"missing ['\"`]?content",
		"content['\"`]?: invalid type: null",
		`field required.{0,5}content`,
		`content.{0,40}(?:cannot|can't|must not|may not) be (?:null|none|nil)`,
	)
	noSealed = anyOf(
		`encrypted (?:reasoning )?content.{0,40}(?:not supported|unsupported|not available)`,
		`reasoning\.encrypted_content.{0,40}(?:not supported|unsupported|not available)`,
	)
	// A complaint about the value of a bound, not about its name.
	ofValue = anyOf(
		`\b(?:maximum|minimum|at most|at least|(?:less|greater|more) than|exceeds?|out of range|between|positive)\b`,
		`\btoo (?:large|small|long|many|high|low)\b`,
	)
	shortIDs = anyOf(`tool call id .*must be a-z.*length of 9`)
	noNames  = anyOf(`function_?response\.?\s?name:? .*(?:cannot|must not) be empty`)
	useOther = anyOf("\\buse (?:the )?(?:parameter |field )?[\"'`]?(max_tokens|max_completion_tokens)\\b")
)

// anyOf matches one of some wordings in any case.
func anyOf(wordings ...string) *regexp.Regexp {
	return regexp.MustCompile("(?i)" + strings.Join(wordings, "|"))
}

// changesForWording returns the changes for complaints that servers only put
// into words.
func (f finder) changesForWording(text string) []Change {
	var all []Change
	if m := useOther.FindStringSubmatch(text); m != nil {
		all = append(all, f.renameBound(otherBound(m[1]))...)
	}
	if noSealed.MatchString(text) {
		all = append(all, f.omitSealed()...)
	}
	all = append(all, f.changesForRole(text)...)
	if f.Path != chatPath {
		return all
	}
	messages := readObjects(f.body.get("messages"))
	callsOnly := func(m object) bool { return m.hasValue("tool_calls") && !m.hasValue("content") }
	if noNull.MatchString(text) && slices.ContainsFunc(messages, callsOnly) {
		all = append(all, Change{EmptyText, ""})
	}
	if shortIDs.MatchString(text) {
		all = append(all, Change{NineIDs, ""})
	}
	if noNames.MatchString(text) {
		all = append(all, Change{ToolNames, ""})
	}
	return all
}

// changesForRole finds the next role to try: system for developer, then one
// leading message, then user.
func (f finder) changesForRole(text string) []Change {
	messages := readObjects(f.body.get("messages"))
	if f.responses() {
		messages = readObjects(f.body.get("input"))
	}
	developers, systems, later := 0, 0, false
	for i, m := range messages {
		switch m.text("role") {
		case registry.RoleDeveloper:
			developers++
		case registry.RoleSystem:
			systems++
			later = later || i > 0
		}
	}
	if f.responses() && systems > 0 {
		later = true // instructions are the first
	}
	switch {
	case developers > 0 && noDeveloper.MatchString(text):
		return []Change{{Role, registry.RoleSystem}}
	case developers+systems > 0 && noSystem.MatchString(text) && !f.responses():
		return []Change{{Role, registry.RoleUser}}
	case (later || developers > 0) && oneSystem.MatchString(text):
		return []Change{{Role, registry.RoleMerge}}
	}
	return nil
}
