package relay

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"windlass.dev/windlass/pkg/responses/internal/raw"
)

// field is a member that comes in pieces.
type field struct {
	name string
	text *strings.Builder // of a member that is text
	last raw.Value        // of any other: a list grows, else the last value counts
}

// fields are the members of an object that comes in pieces, in order.
type fields []*field

// replaced are text members that come whole each time.
var replaced = []string{"role", "id", "type", "name", "object"}

func (f *fields) at(name string) *field {
	for _, one := range *f {
		if one.name == name {
			return one
		}
	}
	one := &field{name: name}
	*f = append(*f, one)
	return one
}

// add adds a piece of a member.
func (f *fields) add(name string, v raw.Value) {
	if len(v) == 0 || !v.IsSet() && f.has(name) {
		return
	}
	one := f.at(name)
	switch {
	case v.Kind() == raw.String && !slices.Contains(replaced, name):
		if one.text == nil {
			one.text = new(strings.Builder)
		}
		one.text.WriteString(v.Text())
	case v.Kind() == raw.String && v.Text() == "" && one.last != nil:
	case v.Kind() == raw.Array && one.last.Kind() == raw.Array && v.Len() > 0 && one.last.Len() > 0:
		one.last = append(append(one.last[:len(one.last)-1], ','), v[1:]...)
	case v.Kind() == raw.Array && one.last.Kind() == raw.Array && v.Len() == 0:
	default:
		one.last = slices.Clone(v)
	}
}

func (f fields) has(name string) bool {
	return slices.ContainsFunc(f, func(one *field) bool { return one.name == name })
}

func (f fields) text(name string) string {
	for _, one := range f {
		if one.name == name && one.text != nil {
			return one.text.String()
		}
	}
	return ""
}

func (f fields) json() raw.Value {
	v := raw.Value("{")
	for i, one := range f {
		if i > 0 {
			v = append(v, ',')
		}
		v = append(raw.Value(raw.AppendText(v, one.name)), ':')
		if one.text != nil {
			v = raw.AppendText(v, one.text.String())
			continue
		}
		v = append(v, one.last...)
	}
	return append(v, '}')
}

// joinedCall is a tool call so far.
type joinedCall struct {
	id, index, name string
	arguments       strings.Builder
	rest            fields // what else the upstream says of it
}

// call adds a piece of a call. Calls are distinguished by id, then by index,
// then by a new name.
func (c *joinedChoice) call(v raw.Value) error {
	f := v.Field("function")
	id, index, name := v.Field("id").Text(), string(v.Field("index")), f.Field("name").Text()
	call := c.find(id, index, name)
	if call == nil {
		if len(c.calls) >= maxChoices {
			return fmt.Errorf("%w: it has too many calls", ErrMalformed)
		}
		call = &joinedCall{index: index}
		c.calls = append(c.calls, call)
	}
	if call.id == "" {
		call.id = id
	}
	if name != call.name && !strings.HasPrefix(call.name, name) {
		call.name += strings.TrimPrefix(name, call.name)
	}
	switch a := f.Field("arguments"); a.Kind() {
	case raw.String:
		call.arguments.WriteString(a.Text())
	case raw.Missing, raw.Null:
	default:
		call.arguments.Write(a)
	}
	for key, m := range v.Members() {
		if k := string(key); k != "id" && k != "index" && k != "function" && k != "type" {
			call.rest.add(k, m)
		}
	}
	return nil
}

// find returns the call that a piece belongs to; nil if it is a new one.
func (c *joinedChoice) find(id, index, name string) *joinedCall {
	if id != "" {
		for _, one := range c.calls {
			if one.id == id {
				return one
			}
		}
	}
	for _, one := range slices.Backward(c.calls) {
		switch {
		case index != "" && index != "null" && one.index != index, id != "" && one.id != "":
			continue
		case name != "" && one.name != "" &&
			(json.Valid([]byte(one.arguments.String())) || index == "" && name != one.name):
			return nil
		}
		return one
	}
	return nil
}

func (c *joinedChoice) callsJSON() raw.Value {
	v := raw.Value("[")
	for i, call := range c.calls {
		if i > 0 {
			v = append(v, ',')
		}
		arguments := call.arguments.String()
		if arguments == "" {
			arguments = "{}"
		}
		v = append(v, `{"id":`...)
		v = append(raw.Value(raw.AppendText(v, call.id)), `,"type":"function","function":{"name":`...)
		v = append(raw.Value(raw.AppendText(v, call.name)), `,"arguments":`...)
		v = append(raw.Value(raw.AppendText(v, arguments)), '}')
		for _, one := range call.rest {
			rest := fields{one}.json()
			v = append(append(v, ','), rest[1:len(rest)-1]...)
		}
		v = append(v, '}')
	}
	return append(v, ']')
}
