// Package check reads typed values out of raw JSON and reports errors in the
// words of OpenAI's API. A Problem starts with the path inside the value that
// was read; each caller on the way out adds its own field with In, so that a
// path costs nothing until there is a problem.
package check

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/internal/raw"
)

// Problem is the error of one field. nil means no problem.
type Problem struct {
	path string
	code string
	pre  string // the message is pre, the quoted path, post; without pre it is post
	post string
}

// In prepends a field to the path: a name, or [i]. It returns p.
func (p *Problem) In(field string) *Problem {
	switch {
	case p == nil:
	case p.path == "" || p.path[0] == '[':
		p.path = field + p.path
	default:
		p.path = field + "." + p.path
	}
	return p
}

// At is In for an element of a list.
func (p *Problem) At(i int) *Problem {
	if p == nil {
		return nil
	}
	return p.In("[" + strconv.Itoa(i) + "]")
}

// Fault returns the API error of p; nil for nil.
func (p *Problem) Fault() *fault.Error {
	if p == nil {
		return nil
	}
	message := p.post
	if p.pre != "" {
		message = p.pre + "'" + p.path + "'" + p.post
	}
	return fault.Invalid(p.path, p.code, message)
}

// Refuse returns a problem with a message of its own.
func Refuse(path, code, message string) *Problem {
	return &Problem{path: path, code: code, post: message}
}

// Quoting returns a problem whose message is pre, the quoted path, and post.
func Quoting(code, pre, post string) *Problem { return &Problem{code: code, pre: pre, post: post} }

// Absent returns the problem of a missing required parameter.
func Absent(path string) *Problem {
	return &Problem{path: path, code: "missing_required_parameter", pre: "Missing required parameter: ", post: "."}
}

// WrongType returns the problem of a value of another type than want: "a
// string", "an object", "one of a string or array of objects".
func WrongType(v raw.Value, want string) *Problem {
	return &Problem{
		code: "invalid_type", pre: "Invalid type for ",
		post: ": expected " + want + ", but got " + kindName(v.Kind()) + " instead.",
	}
}

// WrongValue returns the problem of a value outside an enumeration.
func WrongValue(got string, supported ...string) *Problem {
	var b strings.Builder
	for i, s := range supported {
		switch {
		case i == 0:
		case i == len(supported)-1 && i == 1:
			b.WriteString(" and ")
		case i == len(supported)-1:
			b.WriteString(", and ")
		default:
			b.WriteString(", ")
		}
		b.WriteString("'" + s + "'")
	}
	return &Problem{
		code: "invalid_value",
		post: fmt.Sprintf("Invalid value: '%s'. Supported values are: %s.", Excerpt(got), &b),
	}
}

// OutOfRange returns the problem of a value beyond a limit: what names the
// value and the limit in the API's words ("string too long"), want and got fill
// "Expected …, but got …".
func OutOfRange(code, what, want, got string) *Problem {
	return &Problem{
		code: code, pre: "Invalid ",
		post: fmt.Sprintf(": %s. Expected %s, but got %s instead.", what, want, got),
	}
}

// Excerpt shortens what a client sent for use in a message.
func Excerpt(s string) string {
	const most = 64
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	r := []rune(s[:min(len(s), 4*most)])
	return string(r[:most]) + "..."
}

func kindName(k raw.Kind) string {
	switch k {
	case raw.Bool:
		return "a boolean"
	case raw.Int:
		return "an integer"
	case raw.Decimal:
		return "a decimal number"
	case raw.String:
		return "a string"
	case raw.Array:
		return "an array"
	case raw.Object:
		return "an object"
	}
	return "null"
}
