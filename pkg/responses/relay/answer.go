package relay

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"windlass.dev/windlass/pkg/responses/internal/raw"
	"windlass.dev/windlass/pkg/run"
)

// ErrMalformed says that an upstream's answer is not one of the endpoint;
// another attempt may do better.
var ErrMalformed = errors.New("the upstream's answer is malformed")

// Answer is an upstream's answer. The counts are what it says it used; 0 where
// it says nothing that makes sense.
type Answer struct {
	InputTokens  int64
	OutputTokens int64

	body raw.Value
}

// ReadAnswer reads what an upstream answered with 200. ErrMalformed: it is not
// an answer of the endpoint. The result aliases body.
func ReadAnswer(e run.Endpoint, body []byte) (Answer, error) {
	v, err := parse(body)
	if err != nil {
		return Answer{}, fmt.Errorf("%w: %d bytes: %w", ErrMalformed, len(body), err)
	}
	form := forms[e]
	if entries := v.Field(form.list); entries.Kind() != raw.Array || entries.Len() == 0 {
		return Answer{}, fmt.Errorf("%w: it has no %s", ErrMalformed, form.list)
	}
	a := Answer{body: v}
	a.InputTokens, a.OutputTokens = used(v.Field("usage"))
	if !form.outputs {
		a.OutputTokens = 0
	}
	return a, nil
}

// parse reads JSON of an upstream. Some servers cut characters in pieces.
func parse(b []byte) (raw.Value, error) {
	v, err := raw.Parse(bytes.ToValidUTF8(b, []byte("\uFFFD")))
	if err != nil {
		return nil, fmt.Errorf("parse JSON: %w", err)
	}
	return v, nil
}

// used reads the tokens of a usage. Counting is best effort: what makes no
// sense is 0, and the answer stands.
func used(usage raw.Value) (input, output int64) {
	return count(usage.Field("prompt_tokens")), count(usage.Field("completion_tokens"))
}

// count reads a number with or without a fraction, or a text that has one.
func count(v raw.Value) int64 {
	const most = 1 << 40 // a larger number is a fault, and would spend every budget
	text := string(v)
	if v.Kind() == raw.String {
		text = strings.TrimSpace(v.Text())
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n > 0 && n <= most) {
		return 0
	}
	return int64(math.Round(n))
}

// JSON is the answer for a client that knows the model by that name.
func (a Answer) JSON(model string) []byte {
	return a.body.With("model", raw.AppendText(nil, model))
}

// Chunks is the answer as the stream that the client asked for: for each choice
// all that it says and then its end, and the usage at last if the request wants
// it.
func (a Answer) Chunks(r *Request) [][]byte {
	base := a.body.With("model", raw.AppendText(nil, r.Model)).With("usage", nil)
	if forms[r.Endpoint].messages {
		base = base.With("object", raw.Value(`"chat.completion.chunk"`))
	}
	var all [][]byte
	for i, c := range a.body.Field("choices").Elements() {
		if c.Kind() != raw.Object {
			continue
		}
		if c.Field("index").Kind() != raw.Int {
			c = c.With("index", raw.Value(strconv.Itoa(i)))
		}
		if !forms[r.Endpoint].messages {
			all = append(all, base.With("choices", list(c)))
			continue
		}
		message := asDelta(c.Field("message"))
		finish := c.Field("finish_reason")
		if finish.Text() == "" {
			finish = ending(message.Field("tool_calls").Len() > 0)
		}
		c = c.With("message", nil)
		all = append(all,
			base.With("choices", list(c.With("delta", message).With("finish_reason", raw.Value("null")))),
			base.With("choices", list(c.With("delta", raw.Value("{}")).With("logprobs", nil).With("finish_reason", finish))))
	}
	if usage := a.body.Field("usage"); r.Usage && usage.Present() {
		all = append(all, base.With("choices", raw.Value("[]")).With("usage", usage))
	}
	return all
}

func list(v raw.Value) raw.Value { return append(append(raw.Value("["), v...), ']') }

// ending is the finish_reason of a choice that has none.
func ending(calls bool) raw.Value {
	if calls {
		return raw.Value(`"tool_calls"`)
	}
	return raw.Value(`"stop"`)
}

// asDelta is a message as the only piece of a stream: its calls are numbered.
func asDelta(message raw.Value) raw.Value {
	if message.Kind() != raw.Object {
		return raw.Value(`{"role":"assistant"}`)
	}
	if message.Field("role").Text() == "" {
		message = message.With("role", raw.Value(`"assistant"`))
	}
	calls := message.Field("tool_calls")
	if calls.Kind() != raw.Array || calls.Len() == 0 {
		return message.With("tool_calls", nil)
	}
	numbered := raw.Value("[")
	for i, c := range calls.Elements() {
		if i > 0 {
			numbered = append(numbered, ',')
		}
		numbered = append(numbered, c.With("index", raw.Value(strconv.Itoa(i)))...)
	}
	return message.With("tool_calls", append(numbered, ']'))
}
