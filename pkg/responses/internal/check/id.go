package check

import (
	"strings"

	"windlass.dev/windlass/pkg/responses/internal/raw"
)

// idLength is the longest id that OpenAI's API takes.
const idLength = 64

// ID reads an id: up to 64 letters, digits, underscores and hyphens that begin
// with prefix, which may be empty.
func ID(v raw.Value, prefix string) (string, *Problem) {
	s, p := String(v, idLength)
	if p != nil {
		return "", p
	}
	return s, IDText(s, prefix)
}

// IDText is ID for a decoded string.
func IDText(s, prefix string) *Problem {
	if p := Length(s, idLength); p != nil {
		return p
	}
	if s == "" || !strings.HasPrefix(s, prefix) {
		return badID(s, "begins with '"+prefix+"'.")
	}
	if strings.ContainsFunc(s, func(r rune) bool { return !isIDRune(r) }) {
		return badID(
			s, "contains letters, numbers, underscores, or dashes, but this value contained additional characters.",
		)
	}
	return nil
}

func badID(s, want string) *Problem {
	return &Problem{
		code: "invalid_value", pre: "Invalid ", post: ": '" + Excerpt(s) + "'. Expected an ID that " + want,
	}
}

func isIDRune(r rune) bool {
	return r == '_' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}
