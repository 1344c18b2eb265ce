package schema

import (
	"fmt"
	"strings"

	"windlass.dev/windlass/pkg/responses/internal/raw"
)

// The limits of a strict schema, from OpenAI's guide to structured outputs.
const (
	maxLevels     = 10
	maxProperties = 5000
	maxValues     = 1000
	maxCharacters = 120_000 // of the names of properties and definitions, and of the values of enum and const
)

// forbidden are the keywords that strict mode does not have, because a model
// cannot be held to them while it writes.
var forbidden = map[string]bool{
	"allOf": true, "oneOf": true, "not": true, "if": true, "then": true, "else": true,
	"dependentRequired": true, "dependentSchemas": true, "uniqueItems": true,
}

// Unfit returns why strict mode refuses a schema that Fault and Invalid accept,
// or "". Call it when a request is accepted: the rules may grow, and an
// accepted request stays readable.
func Unfit(v raw.Value) string {
	for key := range v.Members() {
		if name := string(key); name == "anyOf" || name == "enum" || forbidden[name] {
			return "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level."
		}
	}
	var c count
	if reason := c.schema(v, nil, 0); reason != "" {
		return reason
	}
	const tooMany = "Expected at most %d %s a schema when using structured outputs, but got %d."
	switch {
	case c.levels > maxLevels:
		return fmt.Sprintf("%d levels of nesting exceeds limit of %d.", c.levels, maxLevels)
	case c.properties > maxProperties:
		return fmt.Sprintf(tooMany, maxProperties, "object properties total within", c.properties)
	case c.values > maxValues:
		return fmt.Sprintf(tooMany, maxValues, "enum values in total within", c.values)
	case c.characters > maxCharacters:
		return fmt.Sprintf(tooMany, maxCharacters, "characters in total of the names and enum values of", c.characters)
	}
	return ""
}

// count sums up a schema.
type count struct {
	levels                         int // of objects inside of objects
	properties, values, characters int
}

// schema checks a schema and those inside it. path is as of closed.
func (c *count) schema(v raw.Value, path []string, level int) string {
	if v.Kind() != raw.Object || len(path) > 2*deepest {
		return ""
	}
	var s strict
	var typed, listed bool
	for key, m := range v.Members() {
		name := string(key)
		if forbidden[name] {
			return inContext(path, fmt.Sprintf("'%s' is not permitted.", name))
		}
		typed = typed || name == "type" || name == "$ref" || name == "anyOf"
		listed = listed || name == "type" && names(m, "array")
		s.read(name, m)
		c.enumerated(name, m)
	}
	switch {
	case !typed:
		return inContext(path, "schema must have a 'type' key.")
	case listed && s.items.Kind() == raw.Missing:
		return inContext(path, "array schema missing items.")
	}
	if s.object {
		level++
		c.levels = max(c.levels, level)
	}
	if reason := s.surplus(); reason != "" {
		return inContext(path, reason)
	}
	return s.each(path, func(sub raw.Value, path []string) string { return c.schema(sub, path, level) }, c.named)
}

// enumerated counts the values of enum and const.
func (c *count) enumerated(keyword string, v raw.Value) {
	switch keyword {
	case "enum":
		for _, e := range v.Elements() {
			c.values++
			c.characters += len(e.Text())
		}
	case "const":
		c.characters += len(v.Text())
	}
}

// named counts a property or a definition.
func (c *count) named(keyword, name string) {
	if keyword == "'properties'" {
		c.properties++
	}
	c.characters += len(name)
}

// surplus returns a fault if a required name is not a property.
func (s *strict) surplus() string {
	if s.required.Kind() == raw.Missing {
		return ""
	}
	known := map[string]bool{}
	for key := range s.properties.Members() {
		known[string(key)] = true
	}
	for _, e := range s.required.Elements() {
		if name := e.Text(); !known[name] {
			return fmt.Sprintf(
				"'required' is required to be supplied and to be an array including every key in properties. "+
					"Extra required key '%.64s' supplied.",
				name,
			)
		}
	}
	return ""
}

func inContext(path []string, reason string) string {
	return fmt.Sprintf("In context=(%s), %s", strings.Join(path, ", "), reason)
}

// names reports whether a schema's type is that one, alone or among others.
func names(typ raw.Value, want string) bool {
	for _, e := range typ.Elements() {
		if e.Text() == want {
			return true
		}
	}
	return typ.Text() == want
}
