package model

import (
	"encoding/json"
	"strings"
)

// Arguments are those of a call as a history shows them: as they are where they are a JSON object. Upstreams refuse a history with
// others, so those are sent as one quoted field; the record keeps the text as the model wrote it.
func Arguments(text string) string {
	if strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "{") && json.Valid([]byte(text)) {
		return text
	}
	quoted, err := json.Marshal(map[string]string{"_invalid_arguments": text})
	if err != nil {
		panic(err) // a string always encodes
	}
	return string(quoted)
}
