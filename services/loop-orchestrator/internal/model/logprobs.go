package model

import (
	"encoding/json"
)

// likely is a token and how likely it was. The specification requires all of it; upstreams leave out what they do not know, and OpenAI the
// bytes where it streams.
type likely struct {
	Token   string       `json:"token"`
	Logprob *json.Number `json:"logprob"`
	Bytes   []int        `json:"bytes"`
}

type token struct {
	likely

	Top []likely `json:"top_logprobs"`
}

// Logprobs is how likely the tokens of a text were, and others in their places, as an upstream of either dialect tells it: a JSON array on
// one line, of tokens with all that they have to have. nil: there are none, or what is there makes no sense.
func Logprobs(told json.RawMessage) json.RawMessage {
	var tokens []token
	if len(told) == 0 || json.Unmarshal(told, &tokens) != nil || len(tokens) == 0 {
		return nil
	}
	for i := range tokens {
		t := &tokens[i]
		if !t.complete() {
			return nil
		}
		if t.Top == nil {
			t.Top = []likely{}
		}
		for n := range t.Top {
			if !t.Top[n].complete() {
				return nil
			}
		}
	}
	b, err := json.Marshal(tokens)
	if err != nil { // what was read encodes
		return nil
	}
	return b
}

// complete adds the bytes of a token that came without, and tells whether all of it is there.
func (t *likely) complete() bool {
	if t.Bytes == nil {
		t.Bytes = make([]int, len(t.Token))
		for i, b := range []byte(t.Token) {
			t.Bytes[i] = int(b)
		}
	}
	return t.Logprob != nil
}
