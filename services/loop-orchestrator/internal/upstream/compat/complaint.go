package compat

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

// complaint is what is understood of a refusal.
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
		c.addText(string(answer), 0)
	}
	return c
}

func (c *complaint) walk(v any, depth int) {
	if depth > maxDepth {
		return
	}
	switch v := v.(type) {
	case string:
		c.addText(v, depth)
	case []any:
		for _, one := range v {
			c.walk(one, depth+1)
		}
	case map[string]any:
		c.addLocated(v)
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

func (c *complaint) addText(s string, depth int) {
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
		c.paths = append(c.paths, splitPath(strings.NewReplacer("'", "", `"`, "", ",", ".").Replace(m[1])))
	}
	if demanded.MatchString(s) {
		return
	}
	for _, p := range findUnknown(s) {
		c.paths = append(c.paths, splitPath(p))
	}
}

var (
	// pythonLoc is FastAPI's error as Python prints it.
	pythonLoc = regexp.MustCompile(`extra_forbidden['"],\s*['"]loc['"]:\s*[\[(]([^\])]*)[\])]`)
	// demanded matches what servers say about a member that they require.
	demanded = anyOf(
		`must be (?:passed|provided|set|included|sent|present)`, `is (?:required|missing)`,
		"missing (?:required|[`'\"])",
	)
)

// The members that name a parameter, and those that say what is wrong.
var (
	paramNames = []string{
		"param", "parameter", "field", "path", "property", "pointer", "argument", "attribute", "loc",
	}
	messageNames = []string{
		"message", "msg", "error", "reason", "detail", "description", "title", "keyword", "code", "type",
	}
)

// unknownCodes are the codes of errors whose param is unknown.
var unknownCodes = []string{"unknown_parameter", "unsupported_parameter", "unrecognized_parameter"}

// addLocated reads FastAPI's {"type":…,"loc":["body","x"],…}, OpenAI's
// {"code":…,"param":"x"}, zod's {"keys":["x"],…} and objects like
// {"path":"/x","message":"Unexpected property"}.
func (c *complaint) addLocated(o map[string]any) {
	typ, _ := o["type"].(string)
	message, _ := o["msg"].(string)
	extra := typ == "extra_forbidden" || typ == "value_error.extra" || notPermitted.MatchString(message)
	if loc, ok := o["loc"].([]any); ok && extra {
		var path []string
		for _, one := range loc {
			if s, ok := one.(string); ok {
				path = append(path, splitPath(s)...)
			}
		}
		c.paths = append(c.paths, path)
	}
	code, _ := o["code"].(string)
	if keys, ok := o["keys"].([]any); ok && code == "unrecognized_keys" {
		for _, one := range keys {
			if s, ok := one.(string); ok {
				c.paths = append(c.paths, splitPath(s))
			}
		}
	}
	if !slices.Contains(unknownCodes, code) && !slices.ContainsFunc(messagesOf(o), notKnown.MatchString) {
		return
	}
	for _, name := range paramNames {
		if s, _ := o[name].(string); s != "" {
			c.paths = append(c.paths, splitPath(s))
		}
	}
}

// messagesOf returns the texts of an object that say what is wrong.
func messagesOf(o map[string]any) []string {
	var all []string
	for _, name := range messageNames {
		if s, _ := o[name].(string); s != "" && !demanded.MatchString(s) {
			all = append(all, s)
		}
	}
	return all
}

// splitPath returns the names of a path like messages[2].tool_calls.0.index,
// without indexes and without the name of the body.
func splitPath(path string) []string {
	all := strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune(".[]/ ", r) })
	return slices.DeleteFunc(all, func(s string) bool {
		return s == "body" || s == "request" || strings.Trim(s, "0123456789") == ""
	})
}
