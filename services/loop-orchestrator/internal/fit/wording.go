package fit

import (
	"regexp"
	"slices"

	"windlass.dev/windlass/pkg/registry"
)

var (
	// The role developer: Unexpected message role. · unknown variant `developer` ·
	// 'developer' is not one of · Input tag 'developer' found using 'role' ·
	// Unknown role: developer · does not support 'developer'
	noDeveloper = regexp.MustCompile("(?i)(?:unexpected|unknown|unsupported|invalid|unrecognized)(?: message)? role|" +
		"[\"'`]?developer[\"'`]?.{0,40}(?:is not one of|does not match|not supported|unsupported|not allowed|invalid|not recognized)|" +
		"unknown variant [\"'`]?developer|(?:tag|value:?|support|role:?) [\"'`]?developer|" +
		"input should be .?'(?:system|user|assistant|tool)'")
	// One system message only, and first: Qwen, Gemma and Mistral templates.
	oneSystem = regexp.MustCompile(`(?i)system (?:message|role|prompt)s?.{0,40}(?:must|should|can only|has to).{0,20}(?:beginning|first|start)|` +
		`roles must alternate|only user,? (?:and )?assistant.{0,20}roles are supported|initial optional system message|` +
		`unexpected (?:message )?role|multiple system|only one system|after the (?:optional )?system`)
	// No system message at all: Gemma, o1.
	noSystem = regexp.MustCompile(`(?i)system (?:role|messages?|prompts?) (?:is |are )?not supported|` +
		"(?:does not|doesn't) support (?:the )?(?:role )?[\"'`]?system|unknown variant [\"'`]?system")
	// Content beside calls: LM Studio, llama.cpp, llama-cpp-python, serde.
	noNull = regexp.MustCompile(`(?i)content['"]?(?: field)? (?:must|should) be a string|expected ['"]?content['"]? to be a string|` +
		"invalid (?:message )?content type: <nil>|missing ['\"`]?content|content['\"`]?: invalid type: null|" +
		`field required.{0,5}content|content.{0,40}(?:cannot|can't|must not|may not) be (?:null|none|nil)`)
	shortIDs = regexp.MustCompile(`(?i)tool call id .*must be a-z.*length of 9`)
	noNames  = regexp.MustCompile(`(?i)function_?response\.?\s?name:? .*(?:cannot|must not) be empty`)
	useOther = regexp.MustCompile("(?i)use [\"'`]?(max_tokens|max_completion_tokens)[\"'`]? instead")
)

// worded are the changes for what servers say in words only.
func (f finder) worded(text string) []Change {
	var all []Change
	if m := useOther.FindStringSubmatch(text); m != nil {
		all = append(all, f.otherName(otherBound(m[1]))...)
	}
	all = append(all, f.role(text)...)
	if f.Path != chatPath {
		return all
	}
	messages := readObjects(f.body.get("messages"))
	if noNull.MatchString(text) && slices.ContainsFunc(messages, func(m object) bool { return m.given("tool_calls") && !m.given("content") }) {
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

// role finds the next role to try: the system's for the developer's, then one
// leading message, then the user's.
func (f finder) role(text string) []Change {
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
