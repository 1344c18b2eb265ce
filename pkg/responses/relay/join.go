package relay

import (
	"fmt"
	"slices"
	"strconv"

	"windlass.dev/windlass/pkg/responses/internal/raw"
	"windlass.dev/windlass/pkg/run"
)

// maxChoices bounds the choices of an answer and the calls of a choice: more is
// an upstream's error.
const maxChoices = 4096

// Joined is the answer that chunks add up to, for a client that did not ask for
// a stream. Not safe for concurrent use.
type Joined struct {
	endpoint run.Endpoint
	head     raw.Value
	usage    raw.Value
	choices  []*joinedChoice
}

// joinedChoice is one choice so far.
type joinedChoice struct {
	index  string
	said   fields // of the message, or of the choice itself in a completion
	calls  []*joinedCall
	probs  fields
	finish raw.Value
}

// Join returns an answer without chunks.
func Join(e run.Endpoint) *Joined { return &Joined{endpoint: e} }

// Add adds a chunk, or returns ErrMalformed.
func (j *Joined) Add(data []byte) error {
	v, err := parse(data)
	if err != nil {
		return fmt.Errorf("%w: a chunk of %d bytes: %w", ErrMalformed, len(data), err)
	}
	if v.Kind() != raw.Object {
		return fmt.Errorf("%w: a chunk is no object", ErrMalformed)
	}
	if usage := v.Field("usage"); usage.IsSet() {
		j.usage = slices.Clone(usage)
	}
	if head := v.With("choices", nil).With("usage", nil); j.head == nil || !j.head.Field("id").IsSet() {
		j.head = head
	}
	for i, c := range v.Field("choices").Elements() {
		if err := j.choice(i, c); err != nil {
			return err
		}
	}
	return nil
}

func (j *Joined) choice(i int, v raw.Value) error {
	index := string(v.Field("index"))
	if v.Field("index").Kind() != raw.Int {
		index = strconv.Itoa(i)
	}
	at := slices.IndexFunc(j.choices, func(c *joinedChoice) bool { return c.index == index })
	if at < 0 {
		if len(j.choices) >= maxChoices {
			return fmt.Errorf("%w: it has too many choices", ErrMalformed)
		}
		at = len(j.choices)
		j.choices = append(j.choices, &joinedChoice{index: index})
	}
	c := j.choices[at]
	for name, m := range v.Field("logprobs").Members() {
		c.probs.add(string(name), m)
	}
	if finish := v.Field("finish_reason"); finish.Text() != "" {
		c.finish = slices.Clone(finish)
	}
	if !forms[j.endpoint].messages {
		c.said.add("text", v.Field("text"))
		return nil
	}
	piece := v.Field("delta")
	if piece.Kind() != raw.Object {
		piece = v.Field("message")
	}
	for name, m := range piece.Members() {
		if string(name) != "tool_calls" {
			c.said.add(string(name), m)
			continue
		}
		for _, call := range m.Elements() {
			if err := c.call(call); err != nil {
				return err
			}
		}
	}
	return nil
}

// Whole reports whether every choice has ended.
func (j *Joined) Whole() bool {
	return len(j.choices) > 0 && !slices.ContainsFunc(j.choices, func(c *joinedChoice) bool { return c.finish == nil })
}

// Answer returns the answer, or ErrMalformed if there was no choice.
func (j *Joined) Answer() (Answer, error) {
	if len(j.choices) == 0 {
		return Answer{}, fmt.Errorf("%w: it has no choices", ErrMalformed)
	}
	choices := raw.Value("[")
	for i, c := range j.choices {
		if i > 0 {
			choices = append(choices, ',')
		}
		choices = append(choices, c.json(j.endpoint)...)
	}
	body := j.head.With("choices", append(choices, ']'))
	if forms[j.endpoint].messages {
		body = body.With("object", raw.Value(`"chat.completion"`))
	}
	if j.usage != nil {
		body = body.With("usage", j.usage)
	}
	a := Answer{body: body}
	a.InputTokens, a.OutputTokens = used(j.usage)
	return a, nil
}

func (c *joinedChoice) json(e run.Endpoint) raw.Value {
	v := raw.Value(`{"index":` + c.index)
	if forms[e].messages {
		message := c.said
		if !message.has("content") {
			message.add("content", raw.Value("null"))
		}
		if !message.has("role") {
			message.add("role", raw.Value(`"assistant"`))
		}
		if len(c.calls) > 0 {
			message.add("tool_calls", c.callsJSON())
		}
		v = append(append(v, `,"message":`...), message.json()...)
	} else {
		v = append(append(v, `,"text":`...), raw.AppendText(nil, c.said.text("text"))...)
	}
	v = append(v, `,"logprobs":`...)
	if len(c.probs) > 0 {
		v = append(v, c.probs.json()...)
	} else {
		v = append(v, "null"...)
	}
	finish := c.finish
	if finish == nil {
		finish = ending(len(c.calls) > 0)
	}
	return append(append(append(v, `,"finish_reason":`...), finish...), '}')
}
