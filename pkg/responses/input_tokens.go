package responses

import (
	"strconv"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/internal/check"
)

// InputTokens is the answer of POST /v1/responses/input_tokens.
type InputTokens struct {
	Count     int64
	Estimated bool // counted here, and not by the model server
}

// JSON returns the object on one line. An exact count looks as OpenAI writes
// it.
func (n InputTokens) JSON() []byte {
	b := append([]byte(nil), `{"object":"response.input_tokens","input_tokens":`...)
	b = strconv.AppendInt(b, n.Count, 10)
	if n.Estimated {
		b = append(b, `,"estimated":true`...)
	}
	return append(b, '}')
}

// CountRefusal returns why a decoded body is refused by POST
// /v1/responses/input_tokens although POST /v1/responses serves it; nil if it
// is served. Fields that only say how a response is made are ignored.
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
