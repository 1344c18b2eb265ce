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

// ErrMalformed reports an upstream's answer that the endpoint does not have;
// another attempt may succeed.
var ErrMalformed = errors.New("the upstream's answer is malformed")

// Answer is an upstream's answer. The token counts are 0 if the upstream
// reports none or nonsense.
type Answer struct {
	InputTokens  int64
	OutputTokens int64

	body raw.Value
}

// ReadAnswer reads an answer with status 200, or returns ErrMalformed. The
// result aliases body.
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

// parse reads JSON of an upstream. Some servers split characters between
// chunks.
func parse(b []byte) (raw.Value, error) {
	v, err := raw.Parse(bytes.ToValidUTF8(b, []byte("\uFFFD")))
	if err != nil {
		return nil, fmt.Errorf("parse JSON: %w", err)
	}
	return v, nil
}

// used reads the tokens of a usage. Counting is best effort: nonsense counts as
// 0, and the answer is kept.
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

// JSON returns the answer with the client's name for the model.
func (a Answer) JSON(model string) []byte {
	return a.body.With("model", raw.AppendText(nil, model))
}

// Chunks returns the answer as the stream that the client asked for: for each
// choice its content and then its end, and finally the usage if the request
// wants it.
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
		all = append(
			all,
			base.With("choices", list(c.With("delta", message).With("finish_reason", raw.Value("null")))),
			base.With(
				"choices", list(c.With("delta", raw.Value("{}")).With("logprobs", nil).With("finish_reason", finish)),
			),
		)
	}
	if usage := a.body.Field("usage"); r.Usage && usage.IsSet() {
		all = append(all, base.With("choices", raw.Value("[]")).With("usage", usage))
	}
	return all
}

func list(v raw.Value) raw.Value { return append(append(raw.Value("["), v...), ']') }

// ending is the finish_reason of a choice without one.
func ending(calls bool) raw.Value {
	if calls {
		return raw.Value(`"tool_calls"`)
	}
	return raw.Value(`"stop"`)
}

// asDelta returns a message as the only delta of a stream: its calls are
// numbered.
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
