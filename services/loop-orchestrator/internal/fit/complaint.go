package fit

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

const (
	maxTexts = 64 // of one answer
	maxDepth = 8  // of JSON in an answer, and of JSON within its texts
)

// complaint is a refusal as far as it is understood.
type complaint struct {
	paths [][]string // of the parameters that the server does not know, without indexes
	texts []string   // every text of the answer
}

// readComplaint reads an error answer of any shape. Servers wrap each other: a
// text of the answer can be the JSON of another server's answer.
func readComplaint(answer []byte) complaint {
	var c complaint
	var v any
	if json.Unmarshal(answer, &v) == nil {
		c.walk(v, 0)
	} else {
		c.text(string(answer), 0)
	}
	return c
}

func (c *complaint) walk(v any, depth int) {
	if depth > maxDepth {
		return
	}
	switch v := v.(type) {
	case string:
		c.text(v, depth)
	case []any:
		for _, one := range v {
			c.walk(one, depth+1)
		}
	case map[string]any:
		c.located(v)
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			c.walk(v[name], depth+1)
		}
	}
}

func (c *complaint) text(s string, depth int) {
	if len(c.texts) == maxTexts {
		return
	}
	c.texts = append(c.texts, s)
	if begin := strings.IndexAny(s, "{["); begin >= 0 {
		var v any
		if json.NewDecoder(strings.NewReader(s[begin:])).Decode(&v) == nil {
			c.walk(v, depth+1)
		}
	}
	for _, m := range pythonLoc.FindAllStringSubmatch(s, maxTexts) {
		c.paths = append(c.paths, segments(strings.NewReplacer("'", "", `"`, "", ",", ".").Replace(m[1])))
	}
	if demanded.MatchString(s) {
		return
	}
	for _, p := range unknown(s) {
		c.paths = append(c.paths, segments(p))
	}
}

var (
	// pythonLoc is FastAPI's error as Python prints it.
	pythonLoc = regexp.MustCompile(`extra_forbidden['"],\s*['"]loc['"]:\s*[\[(]([^\])]*)[\])]`)
	// demanded is how servers say that they want a member which is not there.
	demanded = regexp.MustCompile("(?i)must be (?:passed|provided|set|included|sent|present)|is (?:required|missing)|missing (?:required|[`'\"])")
)

// located reads FastAPI's {"type":…,"loc":["body","x"],…} and OpenAI's
// {"code":…,"param":"x"}.
func (c *complaint) located(o map[string]any) {
	typ, _ := o["type"].(string)
	message, _ := o["msg"].(string)
	if loc, ok := o["loc"].([]any); ok && (typ == "extra_forbidden" || typ == "value_error.extra" || notPermitted.MatchString(message)) {
		var path []string
		for _, one := range loc {
			if s, ok := one.(string); ok {
				path = append(path, segments(s)...)
			}
		}
		c.paths = append(c.paths, path)
	}
	code, _ := o["code"].(string)
	param, _ := o["param"].(string)
	if param != "" && slices.Contains([]string{"unknown_parameter", "unsupported_parameter", "unrecognized_parameter"}, code) {
		c.paths = append(c.paths, segments(param))
	}
}

// segments are the names of a path like messages[2].tool_calls.0.index, without
// indexes and without what stands for the body.
func segments(path string) []string {
	all := strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune(".[]/ ", r) })
	return slices.DeleteFunc(all, func(s string) bool {
		return s == "body" || s == "request" || strings.Trim(s, "0123456789") == ""
	})
}

const (
	aName  = "[\"'`\\[{(]?([A-Za-z_][\\w.\\[\\]-]*)[\"'`\\]})]?"
	quoted = "[\"'`\\[]([A-Za-z_][\\w.\\[\\]-]*)[\"'`\\]]"
	names  = "([\"'`\\[{(]*[A-Za-z_][\\w.\\[\\]-]*[\"'`\\]})]*(?:,\\s*[\"'`]?[A-Za-z_][\\w.\\[\\]-]*[\"'`\\]})]*)*)"
)

// notPermitted is how pydantic says that a field is unknown.
var notPermitted = regexp.MustCompile(`(?i)\bextra (?:inputs|fields) (?:are )?not permitted`)

// wordings are the ways to say that parameters are unknown, as servers are known
// to have them. The first group is the names, the second, if any, where they are.
var wordings = []*regexp.Regexp{
	// OpenAI, Azure, Gemini, Go's, Rust's and Java's decoders, zod, Python's calls:
	// Unrecognized request arguments supplied: a, b · Unknown parameter: 'a' ·
	// Unknown name "a" at 'tools[0]': Cannot find field · unknown field `a`
	regexp.MustCompile(`(?i)\b(?:unrecognized|unknown|unsupported|unexpected|extraneous)\s+` +
		`(?:request\s+|keyword\s+|query\s+|body\s+)?(?:argument|parameter|param|field|property|key|name|attribute|option)s?(?:\(s\))?` +
		`(?:\s+(?:supplied|provided|in object|found))?\s*:?\s+` + names + `(?:\s+at\s+'([^']+)')?`),
	// Groq, Cerebras, Bedrock, NestJS: property 'a' is unsupported
	regexp.MustCompile(`(?i)` + quoted + `\s+(?:is|are|was|were)\s+(?:unsupported|not supported|not permitted|not allowed|` +
		`not recognized|unknown|unrecognized|unexpected|forbidden)\b`),
	regexp.MustCompile(`(?i)\b(?:property|parameter|field|argument)\s+` + aName + `\s+(?:is (?:unsupported|not supported|not allowed|unknown)|should not exist)`),
	// Anthropic, pydantic as a text: a.b: Extra inputs are not permitted
	regexp.MustCompile(`(?i)` + aName + `\s*:?\s+extra (?:inputs|fields) (?:are )?not permitted`),
	// LiteLLM: does not support parameters: ['a', 'b']
	regexp.MustCompile(`(?i)\bdoes(?: not|n't) support (?:the )?(?:parameter|argument|field|option)s?:?\s+` + names),
	// Python's jsonschema: ('a', 'b' were unexpected)
	regexp.MustCompile(`(?i)\(` + names + `\s+(?:was|were) unexpected\)`),
}

var oneName = regexp.MustCompile(`[A-Za-z_][\w.\[\]-]*`)

// unknown are the paths of the parameters that a text says are unknown.
func unknown(text string) []string {
	var all []string
	for _, w := range wordings {
		for _, m := range w.FindAllStringSubmatch(text, maxTexts) {
			where := ""
			if len(m) > 2 && m[2] != "" {
				where = m[2] + "."
			}
			for _, name := range oneName.FindAllString(m[1], -1) {
				all = append(all, where+strings.Trim(name, ".[]-"))
			}
		}
	}
	return all
}
