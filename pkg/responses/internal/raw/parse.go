package raw

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// schemaDepth bounds the nesting below one of schemaKeys. A client's deep
// schema is legitimate, because schemas are passed through, but it needs a
// bound.
const schemaDepth = 512

// Parse checks b and returns its value. The value aliases b, except where it
// removes line breaks or lone surrogates. Errors: ErrSyntax, ErrDepth. The cost
// is linear in b, and parsing stops at the first level that is too deep.
func Parse(b []byte) (Value, error) {
	if !utf8.Valid(b) {
		return nil, ErrSyntax
	}
	s := scanner{b: b}
	start := s.space(0)
	s.broken = false
	end, err := s.value(start, 0, Depth)
	if err != nil {
		return nil, err
	}
	broken := s.broken
	if s.space(end) != len(b) {
		return nil, ErrSyntax
	}
	v := Value(b[start:end:end])
	if broken {
		var buf bytes.Buffer
		if err := json.Compact(&buf, v); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSyntax, err)
		}
		v = buf.Bytes()
	}
	if s.lone {
		v = mend(v)
	}
	return v, nil
}

type scanner struct {
	b      []byte
	broken bool // a line break was seen outside strings
	lone   bool // there is a surrogate escape without its partner
}

func (s *scanner) space(i int) int {
	for i < len(s.b) {
		switch s.b[i] {
		case '\n', '\r':
			s.broken = true
		case ' ', '\t':
		default:
			return i
		}
		i++
	}
	return i
}

// value returns the end of the value at i, which stands depth levels deep.
func (s *scanner) value(i, depth, limit int) (int, error) {
	if i >= len(s.b) {
		return 0, ErrSyntax
	}
	switch c := s.b[i]; c {
	case '"':
		return s.text(i)
	case '{', '[':
		if depth >= limit {
			return 0, ErrDepth
		}
		if c == '{' {
			return s.object(i+1, depth+1, limit)
		}
		return s.array(i+1, depth+1, limit)
	case 't':
		return s.word(i, "true")
	case 'f':
		return s.word(i, "false")
	case 'n':
		return s.word(i, "null")
	}
	return s.number(i)
}

func (s *scanner) word(i int, w string) (int, error) {
	if !bytes.HasPrefix(s.b[i:], []byte(w)) {
		return 0, ErrSyntax
	}
	return i + len(w), nil
}

func (s *scanner) at(i int, c byte) bool { return i < len(s.b) && s.b[i] == c }

func (s *scanner) object(i, depth, limit int) (int, error) {
	if i = s.space(i); s.at(i, '}') {
		return i + 1, nil
	}
	for {
		if !s.at(i, '"') {
			return 0, ErrSyntax
		}
		end, err := s.text(i)
		if err != nil {
			return 0, err
		}
		below := limit
		switch string(s.b[i+1 : end-1]) {
		case "parameters", "schema", "input_schema", "output_schema": // schemaKeys
			below = schemaDepth
		}
		if i = s.space(end); !s.at(i, ':') {
			return 0, ErrSyntax
		}
		if end, err = s.value(s.space(i+1), depth, below); err != nil {
			return 0, err
		}
		i = s.space(end)
		if s.at(i, '}') {
			return i + 1, nil
		}
		if !s.at(i, ',') {
			return 0, ErrSyntax
		}
		i = s.space(i + 1)
	}
}

func (s *scanner) array(i, depth, limit int) (int, error) {
	if i = s.space(i); s.at(i, ']') {
		return i + 1, nil
	}
	for {
		end, err := s.value(i, depth, limit)
		if err != nil {
			return 0, err
		}
		i = s.space(end)
		if s.at(i, ']') {
			return i + 1, nil
		}
		if !s.at(i, ',') {
			return 0, ErrSyntax
		}
		i = s.space(i + 1)
	}
}

func (s *scanner) number(i int) (int, error) {
	if s.at(i, '-') {
		i++
	}
	start := i
	if i = s.digits(i); i == start || (s.b[start] == '0' && i > start+1) {
		return 0, ErrSyntax
	}
	if s.at(i, '.') {
		start = i + 1
		if i = s.digits(start); i == start {
			return 0, ErrSyntax
		}
	}
	if s.at(i, 'e') || s.at(i, 'E') {
		if i++; s.at(i, '+') || s.at(i, '-') {
			i++
		}
		start = i
		if i = s.digits(start); i == start {
			return 0, ErrSyntax
		}
	}
	return i, nil
}

func (s *scanner) digits(i int) int {
	for i < len(s.b) && '0' <= s.b[i] && s.b[i] <= '9' {
		i++
	}
	return i
}
