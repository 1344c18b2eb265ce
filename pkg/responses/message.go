package responses

import (
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/internal/check"
	"windlass.dev/windlass/pkg/responses/internal/raw"
)

// Message reads what a client sends over a WebSocket and returns the body that
// it would have sent to POST /v1/responses to get the same events. It shares
// nothing with message. The error is always a 400; nil means success.
//
// The specification forbids stream, stream_options and background there. What
// only says what is the case anyway is let through: Codex sends stream: true.
func Message(message []byte) ([]byte, *fault.Error) {
	v, err := check.Parse(message)
	if err != nil {
		return nil, err
	}
	if v.Kind() != raw.Object {
		err := check.WrongType(v, "an object").In("message").Fault()
		err.Param = ""
		return nil, err
	}
	typ := v.Field("type")
	switch {
	case !typ.Given():
		return nil, check.Absent("type").Fault()
	case typ.Text() != "response.create":
		return nil, check.WrongValue(typ.Text(), "response.create").In("type").Fault()
	}
	for name, harmless := range map[string]string{"stream": "true", "background": "false", "stream_options": "null"} {
		if m := v.Field(name); m.Given() && string(m) != harmless {
			return nil, check.Refuse(name, "unsupported_parameter",
				"Unsupported parameter: '"+name+"' is not supported over a WebSocket.").Fault()
		}
	}
	return v.With("type", nil).With("stream", raw.Value("true")), nil
}
