package model

import (
	"bytes"
	"encoding/json"
	"strings"
)

// NoArguments are the arguments of a call without any.
const NoArguments = "{}"

const invalidArguments = "_invalid_arguments"

// Arguments returns a call's arguments as a history has them: unchanged if they
// are a JSON object, {} if they are empty. Upstreams refuse a history with any
// other arguments, so those become one quoted field. The record keeps the text
// as the model wrote it.
func Arguments(text string) string {
	if EmptyArguments(text) {
		return NoArguments
	}
	if strings.HasPrefix(strings.TrimLeft(text, blanks), "{") && json.Valid([]byte(text)) {
		return text
	}
	quoted, err := json.Marshal(map[string]string{invalidArguments: text})
	if err != nil {
		panic(err) // a string always encodes
	}
	return string(quoted)
}

// blanks is JSON's white space.
const blanks = " \t\r\n"

// EmptyArguments reports whether arguments are empty: no text, white space,
// null, or the empty array that PHP writes for an empty object.
func EmptyArguments(text string) bool {
	text = strings.Trim(text, blanks)
	return text == "" || text == "null" || text == "[]"
}

// ReadArguments reads the arguments member of a call, or a piece of it, in any
// type that servers send. A string is its text; an object, an array, a number
// or a boolean is its JSON on one line; absent and null are empty. It does not
// turn empty arguments into {}, because pieces of a stream may be empty: plan
// does that once the call is complete.
func ReadArguments(member json.RawMessage) string {
	member = bytes.TrimSpace(member)
	if len(member) == 0 || string(member) == "null" {
		return ""
	}
	if member[0] == '"' {
		var text string
		if json.Unmarshal(member, &text) != nil {
			return string(member)
		}
		return text
	}
	var line bytes.Buffer
	if json.Compact(&line, member) != nil {
		return string(member)
	}
	return line.String()
}
