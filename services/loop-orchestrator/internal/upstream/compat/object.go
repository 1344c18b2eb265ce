package compat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

var errNoObject = errors.New("the body is no JSON object")

// member is one name and its value in an object.
type member struct {
	name  string
	value json.RawMessage
}

// object is a JSON object with its members in order.
type object []member

func readObject(text []byte) (object, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errNoObject
	}
	var o object
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("read an object: %w", err)
		}
		m := member{name: fmt.Sprint(t)}
		if err := d.Decode(&m.value); err != nil {
			return nil, fmt.Errorf("read a member of an object: %w", err)
		}
		o = append(o, m)
	}
	return o, nil
}

// readObjects returns the elements of an array of objects, or nil for an empty
// one and for anything else.
func readObjects(text []byte) []object {
	var all []json.RawMessage
	if json.Unmarshal(text, &all) != nil || len(all) == 0 {
		return nil
	}
	objects := make([]object, len(all))
	for i, one := range all {
		var err error
		if objects[i], err = readObject(one); err != nil {
			return nil
		}
	}
	return objects
}

func (o object) encode() json.RawMessage {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(quote(m.name))
		b.WriteByte(':')
		b.Write(m.value)
	}
	b.WriteByte('}')
	return b.Bytes()
}

func encodeList(objects []object) json.RawMessage {
	var b bytes.Buffer
	b.WriteByte('[')
	for i, o := range objects {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(o.encode())
	}
	b.WriteByte(']')
	return b.Bytes()
}

// quote returns a text as JSON, without escapes for HTML: a name keeps its
// bytes.
func quote(text string) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(text); err != nil {
		panic(err) // a string always encodes
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// get returns the value of the last member of that name, or nil.
func (o object) get(name string) json.RawMessage {
	for _, m := range slices.Backward(o) {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// hasValue reports whether the object has a member of that name that is not
// null.
func (o object) hasValue(name string) bool {
	v := o.get(name)
	return v != nil && string(v) != "null"
}

// text returns the string value of a member, or "".
func (o object) text(name string) string {
	var s string
	_ = json.Unmarshal(o.get(name), &s) // of another type it is no text
	return s
}

// set returns the object with a value in place of the first member of that
// name, or at the end.
func (o object) set(name string, value json.RawMessage) object {
	out := make(object, 0, len(o)+1)
	done := false
	for _, m := range o {
		if m.name != name {
			out = append(out, m)
		} else if !done {
			out, done = append(out, member{name, value}), true
		}
	}
	if !done {
		out = append(out, member{name, value})
	}
	return out
}

// without returns the object without the members of that name.
func (o object) without(name string) object {
	return slices.DeleteFunc(slices.Clone(o), func(m member) bool { return m.name == name })
}

// rename renames a member and keeps its place.
func (o object) rename(from, to string) object {
	out := slices.Clone(o)
	for i := range out {
		if out[i].name == from {
			out[i].name = to
		}
	}
	return out
}
