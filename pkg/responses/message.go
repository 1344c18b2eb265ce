package responses

import (
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/internal/check"
	"windlass.dev/windlass/pkg/responses/internal/raw"
)

// Message is what a client sends over a WebSocket to create a response.
type Message struct {
	// StreamID is stream_id, which OpenAI has beyond the specification: it
	// orders requests and names their events. Messages without one form a
	// stream, too.
	StreamID string
	// Previous is previous_response_id, if it is a string.
	Previous string
	// Body is the body of the POST /v1/responses that yields the same events.
	// It shares nothing with the message.
	Body []byte
}

// ReadMessage reads a message. The error is a 400; nil means success. StreamID
// and Previous are set as far as they could be read in both cases, because an
// error is sent on its stream.
//
// The specification forbids stream, stream_options and background here. Values
// that change nothing are accepted: Codex sends stream: true.
func ReadMessage(message []byte) (Message, *fault.Error) {
	v, err := check.Parse(message)
	if err != nil {
		return Message{}, err
	}
	if v.Kind() != raw.Object {
		err := check.WrongType(v, "an object").In("message").Fault()
		err.Param = ""
		return Message{}, err
	}
	m := Message{Previous: v.Field("previous_response_id").Text()}
	if id := v.Field("stream_id"); id.IsSet() {
		if !isStreamID(id.Text()) {
			return m, badStreamID().Fault()
		}
		m.StreamID = id.Text()
	}
	typ := v.Field("type")
	switch {
	case !typ.IsSet():
		return m, check.Absent("type").Fault()
	case typ.Text() != "response.create":
		return m, check.WrongValue(typ.Text(), "response.create").In("type").Fault()
	}
	for name, harmless := range map[string]string{"stream": "true", "background": "false", "stream_options": "null"} {
		if given := v.Field(name); given.IsSet() && string(given) != harmless {
			return m, check.Refuse(name, "unsupported_parameter",
				"Unsupported parameter: '"+name+"' is not supported over a WebSocket.").Fault()
		}
	}
	m.Body = v.With("type", nil).With("stream_id", nil).With("stream", raw.Value("true"))
	return m, nil
}

// isStreamID reports whether a text can be a stream_id.
func isStreamID(text string) bool {
	for _, c := range []byte(text) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return text != "" && len(text) <= 256
}

func badStreamID() *check.Problem {
	return check.Quoting("invalid_stream_id", "Invalid ",
		": expected 1 to 256 letters, digits, underscores, hyphens and periods. "+
			"Leave it out for messages without a stream.").In("stream_id")
}
