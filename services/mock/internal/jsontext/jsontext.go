// Package jsontext reads and writes the JSON of the mock's hot path.
package jsontext

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// AppendString appends text as a JSON string. It copies text without escapes,
// which most text is.
func AppendString(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			raw, err := json.Marshal(text)
			if err != nil {
				return append(b, `""`...)
			}
			return append(b, raw...)
		}
	}
	b = append(append(b, '"'), text...)
	return append(b, '"')
}

// TopLevel returns the raw value of a key in the JSON object body, which must
// be valid. It measures a member without decoding it twice.
func TopLevel(body []byte, key string) []byte {
	depth, start := 0, -1
	var last []byte
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '"':
			end := stringEnd(body, i+1)
			if depth == 1 && start < 0 {
				last = body[i+1 : end]
			}
			i = end
		case ':':
			if depth == 1 && start < 0 && string(last) == key {
				start = i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 && start >= 0 {
				return bytes.TrimSpace(body[start:i])
			}
		case ',':
			if depth == 1 && start >= 0 {
				return bytes.TrimSpace(body[start:i])
			}
		}
	}
	return nil
}

// stringEnd returns the index of the quote that closes the string whose text
// begins at i.
func stringEnd(body []byte, i int) int {
	for ; i < len(body) && body[i] != '"'; i++ {
		if body[i] == '\\' {
			i++
		}
	}
	return min(i, len(body)-1)
}

// Texts returns the texts of an input or a prompt: one text, or tokens, or a
// list of either. Tokens are printed.
func Texts(input json.RawMessage) []string {
	var one string
	var tokens []int
	var many []json.RawMessage
	switch {
	case json.Unmarshal(input, &one) == nil:
		return []string{one}
	case json.Unmarshal(input, &tokens) == nil:
		if len(tokens) == 0 {
			return nil
		}
		return []string{strings.Trim(fmt.Sprint(tokens), "[]")}
	case json.Unmarshal(input, &many) != nil:
		return nil
	}
	var texts []string
	for _, part := range many {
		inner := Texts(part)
		if len(inner) != 1 {
			return nil
		}
		texts = append(texts, inner[0])
	}
	return texts
}
