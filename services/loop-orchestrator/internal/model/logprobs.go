package model

import (
	"encoding/json"
)

// likely is a token and its log probability. The specification requires every
// field. Upstreams omit what they do not know, and OpenAI omits the bytes in
// streams.
type likely struct {
	Token   string       `json:"token"`
	Logprob *json.Number `json:"logprob"`
	Bytes   []int        `json:"bytes"`
}

type token struct {
	likely

	Top []likely `json:"top_logprobs"`
}

// Logprobs reads the log probabilities of a text's tokens, which both dialects
// write alike, and returns them as a JSON array on one line with every required
// field. It returns nil if they are absent or malformed.
func Logprobs(sent json.RawMessage) json.RawMessage {
	var tokens []token
	if len(sent) == 0 || json.Unmarshal(sent, &tokens) != nil || len(tokens) == 0 {
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
	if err != nil { // does not happen: it was decoded from JSON
		return nil
	}
	return b
}

// complete adds missing bytes and reports whether the token has every required
// field.
func (t *likely) complete() bool {
	if t.Bytes == nil {
		t.Bytes = make([]int, len(t.Token))
		for i, b := range []byte(t.Token) {
			t.Bytes[i] = int(b)
		}
	}
	return t.Logprob != nil
}
