package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"windlass.dev/windlass/pkg/responses/internal/raw"
)

// Type requires a value of that kind.
func Type(v raw.Value, want raw.Kind) *Problem {
	if v.Kind() == want {
		return nil
	}
	return WrongType(v, kindName(want))
}

// String reads a string of at most most characters; 0 means any length.
func String(v raw.Value, most int) (string, *Problem) {
	if p := Type(v, raw.String); p != nil {
		return "", p
	}
	s := v.Text()
	return s, Length(s, most)
}

// Length requires a string of at most most characters; 0 means any length.
func Length(s string, most int) *Problem {
	if most == 0 || len(s) <= most {
		return nil
	}
	n := utf8.RuneCountInString(s)
	if n <= most {
		return nil
	}
	return OutOfRange("string_above_max_length", "string too long",
		fmt.Sprintf("a string with maximum length %d", most), fmt.Sprintf("a string with length %d", n))
}

// NotEmpty requires a string of at least one character.
func NotEmpty(s string) *Problem {
	if s != "" {
		return nil
	}
	return OutOfRange("empty_string", "empty string", "a string with minimum length 1", "an empty string")
}

// Enum reads one of a few strings.
func Enum(v raw.Value, supported ...string) (string, *Problem) {
	s, p := String(v, 0)
	if p == nil && !slices.Contains(supported, s) {
		p = WrongValue(s, supported...)
	}
	return s, p
}

// Bool reads a boolean.
func Bool(v raw.Value) (bool, *Problem) {
	return v.Kind() == raw.Bool && v[0] == 't', Type(v, raw.Bool)
}

// Integer reads a whole number between least and most.
func Integer(v raw.Value, least, most int) (int, *Problem) {
	if p := Type(v, raw.Int); p != nil {
		return 0, p
	}
	n, err := strconv.Atoi(string(v))
	switch {
	case n < least || err != nil && v[0] == '-':
		return 0, OutOfRange("integer_below_min_value", "integer below minimum value",
			fmt.Sprintf("a value >= %d", least), Excerpt(string(v)))
	case n > most || err != nil:
		return 0, OutOfRange("integer_above_max_value", "integer above maximum value",
			fmt.Sprintf("a value <= %d", most), Excerpt(string(v)))
	}
	return n, nil
}

// Number reads a number between least and most.
func Number(v raw.Value, least, most float64) (float64, *Problem) {
	if k := v.Kind(); k != raw.Int && k != raw.Decimal {
		return 0, WrongType(v, "a decimal number")
	}
	f, err := strconv.ParseFloat(string(v), 64)
	switch {
	case f < least:
		return 0, OutOfRange("decimal_below_min_value", "decimal below minimum value",
			fmt.Sprintf("a value >= %v", least), Excerpt(string(v)))
	case f > most || err != nil:
		return 0, OutOfRange("decimal_above_max_value", "decimal above maximum value",
			fmt.Sprintf("a value <= %v", most), Excerpt(string(v)))
	}
	return f, nil
}

// List requires an array of at most most elements; 0 means any number.
func List(v raw.Value, most int) *Problem {
	if p := Type(v, raw.Array); p != nil || most == 0 {
		return p
	}
	if n := v.Len(); n > most {
		return OutOfRange("array_above_max_length", "array too long",
			fmt.Sprintf("an array with maximum length %d", most), fmt.Sprintf("an array with length %d", n))
	}
	return nil
}

// Name reads the name of a function: up to 64 of a-z, A-Z, 0-9, underscore and
// hyphen.
func Name(v raw.Value) (string, *Problem) {
	s, p := String(v, 64)
	if p != nil {
		return "", p
	}
	if p := NotEmpty(s); p != nil {
		return "", p
	}
	if strings.ContainsFunc(s, func(r rune) bool { return !isIDRune(r) }) {
		return "", &Problem{
			code: "invalid_value", pre: "Invalid ",
			post: ": string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
		}
	}
	return s, nil
}
