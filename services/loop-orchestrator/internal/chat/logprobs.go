package chat

import (
	"encoding/json"
)

// logprobs is how likely the tokens of a text were, and others in their places.
type logprobs struct {
	Content json.RawMessage `json:"content"`
}

// likely is a token as both APIs have it. Here all of it is required, there a server may leave out what it does not know.
type likely struct {
	Token   string       `json:"token"`
	Logprob *json.Number `json:"logprob"`
	Bytes   []int        `json:"bytes"`
}

type token struct {
	likely

	Top []likely `json:"top_logprobs"`
}

// list is a JSON array on one line of what each token has in this API; nil where there is none, or what there is makes no sense.
func (l *logprobs) list() json.RawMessage {
	var tokens []token
	if l == nil || json.Unmarshal(l.Content, &tokens) != nil || len(tokens) == 0 {
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
