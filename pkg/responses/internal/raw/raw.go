// Package raw reads JSON in place. Parse checks a text once, whole and
// strictly; after that a Value is walked without copies and without a second
// check, so that a large request costs one pass and its parts can be stored and
// echoed as the bytes they came in.
//
// Promises of every Value that Parse returns: it is valid JSON and valid UTF-8,
// it holds no line break outside or inside its strings (it fits on one line of
// an event stream), it holds no surrogate escape without its partner (each is
// replaced by \ufffd), and it is nested at most Depth deep, except the schemas
// named in schemaKeys. U+0000 is allowed and stays the escape \u0000.
//
// It does not promise unique keys: Members yields all of them, in order.
package raw

import (
	"errors"
	"iter"
)

// Value is one checked JSON value without surrounding space. The zero Value is
// a missing value. It aliases the text it was parsed from.
type Value []byte

// Depth is the maximum nesting of arrays and objects.
const Depth = 64

var (
	// ErrSyntax is returned by Parse for text that is not one JSON value in
	// UTF-8.
	ErrSyntax = errors.New("not a JSON text")
	// ErrDepth is returned by Parse for text that is nested too deeply.
	ErrDepth = errors.New("JSON nested too deeply")
)

// Kind is the type of a Value.
type Kind int

// The kinds. Numbers without fraction and exponent are Int.
const (
	Missing Kind = iota
	Null
	Bool
	Int
	Decimal
	String
	Array
	Object
)

// Kind returns the type of v.
func (v Value) Kind() Kind {
	if len(v) == 0 {
		return Missing
	}
	switch v[0] {
	case '"':
		return String
	case '{':
		return Object
	case '[':
		return Array
	case 't', 'f':
		return Bool
	case 'n':
		return Null
	}
	for _, c := range v {
		if c == '.' || c == 'e' || c == 'E' {
			return Decimal
		}
	}
	return Int
}

// IsSet reports whether v is present and not null.
func (v Value) IsSet() bool { return len(v) > 0 && v[0] != 'n' }

// Text returns the string that v holds, or "" for anything else.
func (v Value) Text() string {
	if v.Kind() != String {
		return ""
	}
	return unquote(v[1 : len(v)-1])
}

// Members yields the keys, unquoted, and values of an object, in order. A key
// is valid until the next step. Anything but an object has no members.
func (v Value) Members() iter.Seq2[[]byte, Value] {
	return func(yield func([]byte, Value) bool) {
		if v.Kind() != Object {
			return
		}
		for i := space(v, 1); v[i] != '}'; {
			end := skipString(v, i)
			key := v[i+1 : end-1]
			start := space(v, space(v, end)+1) // past the colon
			end = skip(v, start)
			if !yield(plain(key), v[start:end:end]) {
				return
			}
			if i = space(v, end); v[i] == ',' {
				i = space(v, i+1)
			}
		}
	}
}

// Elements yields the index and value of each element of an array. Anything
// but an array has none.
func (v Value) Elements() iter.Seq2[int, Value] {
	return func(yield func(int, Value) bool) {
		if v.Kind() != Array {
			return
		}
		n := 0
		for i := space(v, 1); v[i] != ']'; n++ {
			end := skip(v, i)
			if !yield(n, v[i:end:end]) {
				return
			}
			if i = space(v, end); v[i] == ',' {
				i = space(v, i+1)
			}
		}
	}
}

// Len counts the members of an object or the elements of an array.
func (v Value) Len() int {
	n := 0
	for range v.Elements() {
		n++
	}
	for range v.Members() {
		n++
	}
	return n
}

// Field returns the last member of v with that key, or a missing value.
func (v Value) Field(key string) Value {
	var found Value
	for k, m := range v.Members() {
		if string(k) == key {
			found = m
		}
	}
	return found
}
