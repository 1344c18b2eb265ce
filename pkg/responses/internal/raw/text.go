package raw

import (
	"bytes"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// text returns the end of the string at i.
func (s *scanner) text(i int) (int, error) {
	for i++; i < len(s.b); {
		switch c := s.b[i]; {
		case c == '"':
			return i + 1, nil
		case c < ' ':
			return 0, ErrSyntax
		case c == '\\':
			n, lone := escape(s.b[i:])
			if n == 0 {
				return 0, ErrSyntax
			}
			s.lone = s.lone || lone
			i += n
		default:
			i++
		}
	}
	return 0, ErrSyntax
}

// escape returns the length of the escape that b starts with; 0 if b does not
// start with one. A pair of surrogates counts as one escape.
func escape(b []byte) (n int, lone bool) {
	if len(b) < 2 {
		return 0, false
	}
	if b[1] != 'u' {
		if bytes.IndexByte([]byte(`"\/bfnrt`), b[1]) < 0 {
			return 0, false
		}
		return 2, false
	}
	r := unit(b)
	switch {
	case r < 0:
		return 0, false
	case !utf16.IsSurrogate(r):
		return 6, false
	case utf16.DecodeRune(r, unit(b[6:])) != utf8.RuneError:
		return 12, false
	}
	return 6, true
}

// unit decodes the \uXXXX that b starts with, or returns -1.
func unit(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// mend returns v with \ufffd for each lone surrogate.
func mend(v Value) Value {
	v = bytes.Clone(v)
	for i := 0; i < len(v); {
		if v[i] != '\\' {
			i++
			continue
		}
		n, lone := escape(v[i:])
		if lone {
			copy(v[i:], `\ufffd`)
		}
		i += n
	}
	return v
}

func plain(key []byte) []byte {
	if bytes.IndexByte(key, '\\') < 0 {
		return key
	}
	return []byte(unquote(key))
}

// unquote decodes the inside of a checked string.
func unquote(b []byte) string {
	i := bytes.IndexByte(b, '\\')
	if i < 0 {
		return string(b)
	}
	var out strings.Builder
	out.Grow(len(b))
	for ; i >= 0; i = bytes.IndexByte(b, '\\') {
		out.Write(b[:i])
		b = b[i:]
		n, _ := escape(b)
		switch n {
		case 2:
			out.WriteByte(short(b[1]))
		case 6:
			out.WriteRune(unit(b))
		default:
			out.WriteRune(utf16.DecodeRune(unit(b), unit(b[6:])))
		}
		b = b[n:]
	}
	out.Write(b)
	return out.String()
}

func short(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

const hex = "0123456789abcdef"

// AppendText appends s as a JSON string. Bytes that are not UTF-8 become
// U+FFFD. The line separators U+0085, U+2028 and U+2029 are escaped, because
// some readers of event streams break lines there.
func AppendText(dst []byte, s string) []byte {
	dst = append(dst, '"')
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		r, n := rune(c), 1
		if c >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(s[i:])
			if (r != utf8.RuneError || n > 1) && r != '\u0085' && r != '\u2028' && r != '\u2029' {
				i += n
				continue
			}
		}
		dst = append(dst, s[done:i]...)
		dst = appendEscape(dst, r)
		i += n
		done = i
	}
	dst = append(dst, s[done:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(dst, '\\', byte(r))
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

// AppendTextOrNull appends s as a JSON string, or null if it is empty.
func AppendTextOrNull(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return AppendText(dst, s)
}
