// Package key holds the JSON of requests that create API keys. The rules of
// package responses on text and aliasing apply.
package key

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/internal/check"
	"windlass.dev/windlass/pkg/responses/internal/raw"
)

const (
	maxName    = 128
	maxNames   = 128 // in one list
	maxText    = 256 // of one of them
	maxSeconds = 10 * 365 * 24 * 3600
)

// Create is the body of POST /v1/keys.
type Create struct {
	Name   string
	Scopes []string      // one at least, each once
	Models []string      // nil: all that there are
	Tools  []string      // nil: all that there are; empty: none
	TTL    time.Duration // 0: without end
}

// Decode reads the body of POST /v1/keys; an empty one asks for a key with the
// first of the scopes. scopes are those that a key may have. The error is a 400
// that names the first invalid field; nil means success.
func Decode(body []byte, scopes ...string) (*Create, *fault.Error) {
	c := &Create{Scopes: scopes[:1]}
	if len(body) == 0 {
		return c, nil
	}
	v, f := check.Parse(body)
	if f != nil {
		return nil, f
	}
	if v.Kind() != raw.Object {
		f = check.WrongType(v, "an object").In("body").Fault()
		f.Param = "" // the body has no path
		return nil, f
	}
	for _, field := range []struct {
		name string
		read func(raw.Value) *check.Problem
	}{
		{"name", func(v raw.Value) (p *check.Problem) { c.Name, p = readLine(v, maxName); return p }},
		{"scopes", func(v raw.Value) (p *check.Problem) { c.Scopes, p = readScopes(v, scopes); return p }},
		{"models", func(v raw.Value) (p *check.Problem) {
			if c.Models, p = readNames(v); p == nil && len(c.Models) == 0 {
				p = empty()
			}
			return p
		}},
		{"tools", func(v raw.Value) (p *check.Problem) { c.Tools, p = readNames(v); return p }},
		{"expires_in", func(v raw.Value) *check.Problem {
			n, p := check.Integer(v, 1, maxSeconds)
			c.TTL = time.Duration(n) * time.Second
			return p
		}},
	} {
		if m := v.Field(field.name); m.IsSet() {
			if p := field.read(m); p != nil {
				return nil, p.In(field.name).Fault()
			}
		}
	}
	return c, nil
}

func readScopes(v raw.Value, supported []string) ([]string, *check.Problem) {
	if p := check.List(v, len(supported)); p != nil {
		return nil, p
	}
	var all []string
	for i, e := range v.Elements() {
		s, p := check.Enum(e, supported...)
		if p != nil {
			return nil, p.At(i)
		}
		all = append(all, s)
	}
	if len(all) == 0 {
		return nil, empty()
	}
	return all, nil
}

func readNames(v raw.Value) ([]string, *check.Problem) {
	if p := check.List(v, maxNames); p != nil {
		return nil, p
	}
	all := []string{}
	for i, e := range v.Elements() {
		s, p := readLine(e, maxText)
		if p == nil && s == "" {
			p = check.OutOfRange("empty_string", "empty string", "a string with minimum length 1", "an empty string")
		}
		if p != nil {
			return nil, p.At(i)
		}
		all = append(all, s)
	}
	return all, nil
}

// readLine reads a string that is printable and that the database can store.
func readLine(v raw.Value, most int) (string, *check.Problem) {
	s, p := check.String(v, most)
	if p == nil && strings.ContainsFunc(s, unicode.IsControl) {
		p = check.Quoting("invalid_value", "Invalid ", ": it has control characters in it.")
	}
	return s, p
}

func empty() *check.Problem {
	return check.OutOfRange("empty_array", "empty array", "an array with minimum length 1", "an empty array")
}

// Restrict bounds a new key by the rights of its creator: an absent list
// becomes the creator's, and a name outside of it is refused.
func (c *Create) Restrict(models, tools []string) *fault.Error {
	for _, list := range []struct {
		field  string
		asked  *[]string
		makers []string
	}{{"models", &c.Models, models}, {"tools", &c.Tools, tools}} {
		if list.makers == nil {
			continue
		}
		if *list.asked == nil {
			*list.asked = list.makers
		}
		for i, name := range *list.asked {
			if !slices.Contains(list.makers, name) {
				return refuseName(list.field, i, name)
			}
		}
	}
	return nil
}

func refuseName(list string, i int, name string) *fault.Error {
	return fault.Invalid(list+"["+strconv.Itoa(i)+"]", "invalid_value",
		fmt.Sprintf("Invalid value: '%s'. The key that makes it may not use it.", check.Excerpt(name)))
}
