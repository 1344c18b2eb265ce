package responses

import (
	"strconv"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/internal/check"
)

// InputTokens is the answer of POST /v1/responses/input_tokens.
type InputTokens struct {
	Count     int64
	Estimated bool // not counted by the model server
}

// JSON is the object on the wire, on one line. What is counted exactly looks
// as OpenAI writes it.
func (n InputTokens) JSON() []byte {
	b := append([]byte(nil), `{"object":"response.input_tokens","input_tokens":`...)
	b = strconv.AppendInt(b, n.Count, 10)
	if n.Estimated {
		b = append(b, `,"estimated":true`...)
	}
	return append(b, '}')
}

// CountRefusal says why a body that Decode has read, and that is served as
// POST /v1/responses, is not as POST /v1/responses/input_tokens; nil: it is.
// Fields that only say how a response would be made are ignored.
func (c *Create) CountRefusal() *fault.Error {
	for _, asked := range []struct {
		field string
		given bool
	}{{"stream", c.Stream}, {"background", c.Background}, {"generate", !c.Generate}} {
		if asked.given {
			return check.Refuse(asked.field, "unsupported_parameter",
				"Unsupported parameter: '"+asked.field+"' is not supported when tokens are counted.").Fault()
		}
	}
	return nil
}
