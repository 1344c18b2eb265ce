// Package rawjson reads JSON whose members may have any type. It walks valid
// JSON in place, so that an odd member costs nothing but itself: encoding/json
// fails a whole text for one member of another type.
//
// The functions other than Valid require valid JSON (TestWalk, FuzzWalk).
package rawjson

import (
	"bytes"
	"encoding/json"
	"iter"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

const space = " \t\r\n"

// Valid returns the text without white space around it. ok reports whether it
// is JSON.
func Valid(text []byte) (value json.RawMessage, ok bool) {
	return bytes.Trim(text, space), json.Valid(text)
}

// Kind returns the first byte of a value: one of { [ " t f n - 0…9, or 0 if the
// value is absent.
func Kind(v json.RawMessage) byte {
	if len(v) == 0 {
		return 0
	}
	return v[0]
}

// IsSet reports whether v is present and is not null.
func IsSet(v json.RawMessage) bool { return len(v) > 0 && v[0] != 'n' }

// Members walks an object; any other value has no members.
func Members(v json.RawMessage) iter.Seq2[string, json.RawMessage] {
	return func(yield func(string, json.RawMessage) bool) {
		if Kind(v) != '{' {
			return
		}
		for i := skipSpace(v, 1); v[i] != '}'; i = next(v, i) {
			end := skipString(v, i)
			name := Text(v[i:end])
			i = skipSpace(v, skipSpace(v, end)+1)
			end = skip(v, i)
			if !yield(name, v[i:end:end]) {
				return
			}
			i = end
		}
	}
}

// Elements walks an array. Any other value that is set is its only element:
// servers send one object in place of a list.
func Elements(v json.RawMessage) iter.Seq[json.RawMessage] {
	return func(yield func(json.RawMessage) bool) {
		if Kind(v) != '[' {
			if IsSet(v) {
				yield(v)
			}
			return
		}
		for i := skipSpace(v, 1); v[i] != ']'; i = next(v, i) {
			end := skip(v, i)
			if !yield(v[i:end:end]) {
				return
			}
			i = end
		}
	}
}

// Member returns the last member of that name; nil if absent.
func Member(v json.RawMessage, name string) json.RawMessage {
	var found json.RawMessage
	for key, m := range Members(v) {
		if key == name {
			found = m
		}
	}
	return found
}

// Text returns the string that v is, in valid UTF-8; "" for other types.
func Text(v json.RawMessage) string {
	if Kind(v) != '"' {
		return ""
	}
	if inner := v[1 : len(v)-1]; bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner)
	}
	var text string
	if json.Unmarshal(v, &text) != nil {
		return ""
	}
	return text
}

// Scalar returns a string, or a number or boolean as its JSON text: servers
// that are careless about types mean the same by both. Other types are "".
func Scalar(v json.RawMessage) string {
	switch Kind(v) {
	case '"':
		return Text(v)
	case 0, 'n', '{', '[':
		return ""
	}
	return string(v)
}

// Quote returns a text as a JSON string.
func Quote(text string) json.RawMessage { return AppendQuote(nil, text) }

// AppendQuote appends a text as a JSON string.
func AppendQuote(b []byte, text string) []byte {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string always encodes
	}
	return append(b, quoted...)
}

// maxCount is the largest count that is believed. A larger one would use up
// every budget.
const maxCount = 1 << 40

// Count reads a count: a number with or without a fraction, or a string with
// one. Any other value is 0.
func Count(v json.RawMessage) int64 {
	n, err := strconv.ParseFloat(strings.TrimSpace(Scalar(v)), 64)
	if err != nil || !(n > 0 && n <= maxCount) {
		return 0
	}
	return int64(math.Round(n))
}

// next returns where the member or element after the one that ends at i
// begins, or the closing bracket.
func next(v []byte, i int) int {
	if i = skipSpace(v, i); v[i] == ',' {
		return skipSpace(v, i+1)
	}
	return i
}

func skipSpace(v []byte, i int) int {
	for strings.IndexByte(space, v[i]) >= 0 {
		i++
	}
	return i
}

// skip returns the end of the value that begins at i.
func skip(v []byte, i int) int {
	switch v[i] {
	case '"':
		return skipString(v, i)
	case '{', '[':
		return skipNested(v, i)
	}
	if n := bytes.IndexAny(v[i:], ",}] \t\r\n"); n >= 0 {
		return i + n
	}
	return len(v)
}

func skipNested(v []byte, i int) int {
	for depth := 0; ; {
		switch v[i] {
		case '"':
			i = skipString(v, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if i++; depth == 0 {
			return i
		}
	}
}

func skipString(v []byte, i int) int {
	for i++; ; i++ {
		switch v[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
}
