package relay

import (
	"errors"
	"fmt"
	"strconv"

	"windlass.dev/windlass/pkg/responses/internal/raw"
)

// ErrMalformed says that an upstream's answer is none of the endpoint's; another attempt may do better.
var ErrMalformed = errors.New("the upstream's answer is malformed")

// Answer is an upstream's answer. The counts are what it says it used; 0 where it says nothing that makes sense.
type Answer struct {
	InputTokens  int64
	OutputTokens int64

	body raw.Value
}

// ReadAnswer reads what an upstream answered with 200. ErrMalformed: it is not an answer of the endpoint. The result aliases body.
func ReadAnswer(e Endpoint, body []byte) (Answer, error) {
	v, err := raw.Parse(body)
	if err != nil {
		return Answer{}, fmt.Errorf("%w: %d bytes: %w", ErrMalformed, len(body), err)
	}
	list := "choices"
	if e == Embeddings {
		list = "data"
	}
	if entries := v.Field(list); entries.Kind() != raw.Array || entries.Len() == 0 {
		return Answer{}, fmt.Errorf("%w: it has no %s", ErrMalformed, list)
	}
	usage := v.Field("usage")
	a := Answer{InputTokens: count(usage.Field("prompt_tokens")), body: v}
	if e != Embeddings { // some upstreams count what they return there, which nobody pays for
		a.OutputTokens = count(usage.Field("completion_tokens"))
	}
	return a, nil
}

func count(v raw.Value) int64 {
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// JSON is the answer for a client that knows the model by that name.
func (a Answer) JSON(model string) []byte {
	return a.body.With("model", raw.AppendText(nil, model))
}
