package upstream

import (
	"encoding/json"

	"windlass.dev/windlass/pkg/responses/fault"
)

// readOwn reads an error answer in any of the shapes that servers have for it: OpenAI's {"error":{…}}, its object without the
// envelope, {"error":"…"} and {"detail":"…"}. What cannot be read is empty; a number, which some servers have for a code, becomes
// text. The secret is taken out: upstreams like to quote it.
func readOwn(body []byte, secret string) fault.Error {
	var envelope struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(body, &envelope) != nil {
		return fault.Error{}
	}
	object := body
	if len(envelope.Error) > 0 && envelope.Error[0] == '{' {
		object = envelope.Error
	}
	var members map[string]json.RawMessage
	_ = json.Unmarshal(object, &members) // it was valid above; anything but an object has no members
	text := func(names ...string) (found string) {
		for _, name := range names {
			var number json.Number
			switch v := members[name]; {
			case found != "":
			case json.Unmarshal(v, &found) == nil: // null is empty
			case json.Unmarshal(v, &number) == nil:
				found = number.String()
			default:
				found = ""
			}
		}
		return redact(found, secret)
	}
	return fault.Error{Message: text("message", "error", "detail"), Type: text("type"), Param: text("param"), Code: text("code")}
}
