package compat

import (
	"regexp"
	"strings"
)

const (
	name   = `[A-Za-z_][\w.\[\]-]*` // or a path of names
	aName  = "[\"'`\\[{(]?(" + name + ")[\"'`\\]})]?"
	quoted = "[\"'`\\[](" + name + ")[\"'`\\]]"
	names  = "([\"'`\\[{(]*" + name + "[\"'`\\]})]*(?:,\\s*[\"'`]?" + name + "[\"'`\\]})]*)*)"
)

// notPermitted is how pydantic says that a field is unknown.
var notPermitted = anyOf(`\bextra (?:inputs|fields) (?:are )?not permitted`)

// notKnown is the core of all wordings for an unknown parameter. It does not
// match complaints about values.
var notKnown = anyOf(
	`\b(?:unknown|unsupported|unrecognized|unrecognised|unexpected|disallowed|forbidden|extraneous)\b`+
		`(?:[ _-](?:parameter|argument|field|property|properties|key|name|option|input|attribute|extra)s?\b|\W*$|:)`,
	`\b(?:is|are|was|were)? ?not (?:supported|permitted|allowed|recognized|recognised|known|implemented|available)\b`,
	`\badditional ?propert(?:y|ies)\b`, `\bextra (?:inputs|fields|parameters|properties|keys)\b`,
	`\b(?:does not|doesn't|cannot) (?:support|accept|recognize|allow)\b`,
	`\binvalid (?:parameter|field|argument|property)\b`,
	`\bno such (?:parameter|field|argument|property)\b`,
	`\b(?:should|must|may|can) ?not be (?:sent|set|used|present|specified|provided)\b`,
)

// hints are names that a refusal mentions almost only if the server does not
// know them.
var hints = regexp.MustCompile(`\b(?:stream_options|include_usage|parallel_tool_calls|` +
	`safety_identifier|prompt_cache_key|` +
	`prompt_cache_retention|prompt_cache_options|service_tier|tool_choice)\b`)

// findHints returns the hints in a text that says, in any wording, that a
// parameter is unknown. A wrong guess costs the request a hint and nothing
// else.
func findHints(text string) []string {
	if !notKnown.MatchString(text) {
		return nil
	}
	return hints.FindAllString(text, maxTexts)
}

// wordings are the ways in which servers say that parameters are unknown. The
// first group is the names, the second, if any, their location.
var wordings = []*regexp.Regexp{
	// OpenAI, Azure, Gemini, Go's, Rust's and Java's decoders, zod, Python's
	// calls: Unrecognized request arguments supplied: a, b · Unknown parameter:
	// 'a' · Unknown name "a" at 'tools[0]': Cannot find field · unknown field
	// `a`
	anyOf(`\b(?:unrecognized|unknown|unsupported|unexpected|extraneous)\s+` +
		`(?:request\s+|keyword\s+|query\s+|body\s+)?` +
		`(?:argument|parameter|param|field|property|key|name|attribute|option)s?(?:\(s\))?` +
		`(?:\s+(?:supplied|provided|in object|found))?\s*:?\s+` + names + `(?:\s+at\s+'([^']+)')?`),
	// Groq, Cerebras, Bedrock: property 'a' is unsupported
	anyOf(quoted + `\s+(?:is|are|was|were)\s+(?:unsupported|not supported|not permitted|not allowed|` +
		`not recognized|unknown|unrecognized|unexpected|forbidden)\b`),
	// The same without quotes, and NestJS: property a should not exist
	anyOf(`\b(?:property|parameter|field|argument)\s+` + aName +
		`\s+(?:is (?:unsupported|not supported|not allowed|unknown)|should not exist)`),
	// Anthropic, pydantic as a text: a.b: Extra inputs are not permitted
	anyOf(aName + `\s*:?\s+extra (?:inputs|fields) (?:are )?not permitted`),
	// Fireworks: Extra inputs are not permitted, field: 'a.b', value: 1
	anyOf(`\bextra (?:inputs|fields) (?:are )?not permitted\W+(?:field|loc|param|parameter)\W+` + aName),
	// xAI: Argument not supported on this model: a
	anyOf(`\b(?:argument|parameter|field)s? (?:is |are )?(?:not supported|unsupported)[^:'"]{0,40}:\s*` + names),
	// LiteLLM: does not support parameters: ['a', 'b']
	anyOf(`\bdoes(?: not|n't) support (?:the )?(?:parameter|argument|field|option)s?:?\s+` + names),
	// Python's jsonschema: ('a', 'b' were unexpected)
	anyOf(`\(` + names + `\s+(?:was|were) unexpected\)`),
}

var oneName = regexp.MustCompile(name)

// findUnknown returns the paths of the parameters that a text calls unknown.
func findUnknown(text string) []string {
	var all []string
	for _, w := range wordings {
		for _, m := range w.FindAllStringSubmatch(text, maxTexts) {
			where := ""
			if len(m) > 2 && m[2] != "" {
				where = m[2] + "."
			}
			for _, one := range oneName.FindAllString(m[1], -1) {
				all = append(all, where+strings.Trim(one, ".[]-"))
			}
		}
	}
	return append(all, findHints(text)...)
}
