package upstream

import (
	"bytes"
	"unicode/utf8"
)

// joinCharacters joins characters that a server cut between two pieces of a
// stream. It removes half a character from the end of each text in doc, and
// inserts the half that the piece before ended with, cut, before its other
// half. Servers cut texts at bytes, or at UTF-16 units as JavaScript counts
// them.
func joinCharacters(doc, cut []byte) (joined, rest []byte) {
	half := len(cut) > 0 || !utf8.Valid(doc) || bytes.Contains(doc, []byte(`\ud`)) || bytes.Contains(doc, []byte(`\uD`))
	if !half {
		return doc, nil
	}
	out := make([]byte, 0, len(doc)+len(cut))
	inside := false
	for i := 0; i < len(doc); i++ {
		switch c := doc[i]; {
		case c == '\\' && inside && i+1 < len(doc):
			out = append(out, c, doc[i+1])
			i++
			continue
		case c == '"' && inside:
			if n := lengthOfHalf(out); n > 0 {
				rest = bytes.Clone(out[len(out)-n:])
				out = out[:len(out)-n]
			}
			inside = false
		case c == '"':
			inside = true
			out = append(out, c)
			if len(cut) > 0 && continuesWith(cut, doc[i+1:]) {
				out = append(out, cut...)
			}
			continue
		}
		out = append(out, doc[i])
	}
	return out, rest
}

// isSurrogate reports whether b is the escape of one half of a character. high
// reports that it is the first half.
func isSurrogate(b []byte) (is, high bool) {
	if len(b) != 6 || b[0] != '\\' || b[1] != 'u' || b[2]|0x20 != 'd' {
		return false, false
	}
	switch b[3] | 0x20 {
	case '8', '9', 'a', 'b':
		return true, true
	case 'c', 'd', 'e', 'f':
		return true, false
	}
	return false, false
}

// lengthOfHalf returns the length of the half character at the end of a text; 0
// if it ends with a whole one.
func lengthOfHalf(text []byte) int {
	if n := len(text); n >= 6 {
		if is, high := isSurrogate(text[n-6:]); is && high && !isEscaped(text[:n-6]) {
			return 6
		}
	}
	for n := 1; n <= 3 && n <= len(text); n++ {
		if c := text[len(text)-n]; utf8.RuneStart(c) {
			if c >= 0xc2 && !utf8.FullRune(text[len(text)-n:]) {
				return n
			}
			return 0
		}
	}
	return 0
}

// isEscaped reports whether a backslash at the end of a text escapes what
// follows.
func isEscaped(text []byte) bool {
	n := len(text) - len(bytes.TrimRight(text, `\`))
	return n%2 == 1
}

// continuesWith reports whether a text starts with the other half of a
// character.
func continuesWith(cut, text []byte) bool {
	if cut[0] == '\\' {
		if len(text) < 6 {
			return false
		}
		is, high := isSurrogate(text[:6])
		return is && !high
	}
	return len(text) > 0 && text[0] >= 0x80 && !utf8.RuneStart(text[0])
}
