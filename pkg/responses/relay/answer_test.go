package relay

import (
	"errors"
	"testing"

	"windlass.dev/windlass/pkg/run"
)

func TestReadAnswer(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		e       run.Endpoint
		in      string
		want    string // for the client that calls the model mine
		tokens  [2]int64
		refused bool
	}{
		{
			name: "a chat completion", e: run.ChatCompletions,
			in:     `{"id":"c-1","model":"up/1","choices":[{"message":{"content":"hi","x":1.0}}],"usage":{"prompt_tokens":3,"completion_tokens":4}}`,
			want:   `{"id":"c-1","model":"mine","choices":[{"message":{"content":"hi","x":1.0}}],"usage":{"prompt_tokens":3,"completion_tokens":4}}`,
			tokens: [2]int64{3, 4},
		},
		{
			name: "embeddings count what goes in", e: run.Embeddings,
			in:   `{"data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":5,"completion_tokens":9,"total_tokens":5}}`,
			want: `{"data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":5,"completion_tokens":9,"total_tokens":5},"model":"mine"}`, tokens: [2]int64{5, 0},
		},
		{name: "no usage", e: run.Completions, in: `{"model":"x","choices":[{}]}`, want: `{"model":"mine","choices":[{}]}`},
		{
			name: "usage that makes no sense", e: run.ChatCompletions, in: `{"choices":[{}],"model":null,"usage":{"prompt_tokens":-1,"completion_tokens":"many"}}`,
			want: `{"choices":[{}],"model":"mine","usage":{"prompt_tokens":-1,"completion_tokens":"many"}}`,
		},
		{
			name: "usage of other types", e: run.ChatCompletions, in: `{"choices":[{}],"model":"up","usage":{"prompt_tokens":10.0,"completion_tokens":"5.4"}}`,
			want: `{"choices":[{}],"model":"mine","usage":{"prompt_tokens":10.0,"completion_tokens":"5.4"}}`, tokens: [2]int64{10, 5},
		},
		{name: "usage that is a text", e: run.ChatCompletions, in: `{"choices":[{}],"model":"up","usage":"oops"}`, want: `{"choices":[{}],"model":"mine","usage":"oops"}`},
		{name: "usage that is a list", e: run.ChatCompletions, in: `{"choices":[{}],"model":"up","usage":[]}`, want: `{"choices":[{}],"model":"mine","usage":[]}`},
		{name: "usage beyond belief", e: run.ChatCompletions, in: `{"choices":[{}],"model":"up","usage":{"prompt_tokens":1e300}}`, want: `{"choices":[{}],"model":"mine","usage":{"prompt_tokens":1e300}}`},
		{name: "no JSON", e: run.ChatCompletions, in: `<html>`, refused: true},
		{name: "broken off", e: run.ChatCompletions, in: `{"choices":[{"message":`, refused: true},
		{name: "no object", e: run.ChatCompletions, in: `[]`, refused: true},
		{name: "no choices", e: run.ChatCompletions, in: `{"choices":[]}`, refused: true},
		{name: "choices of another kind", e: run.Completions, in: `{"choices":{"a":1}}`, refused: true},
		{name: "an error", e: run.ChatCompletions, in: `{"error":{"message":"no"}}`, refused: true},
		{name: "choices where there should be data", e: run.Embeddings, in: `{"choices":[{}]}`, refused: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, err := ReadAnswer(tt.e, []byte(tt.in))
			if tt.refused {
				if !errors.Is(err, ErrMalformed) {
					t.Errorf("ReadAnswer = %+v, %v; want ErrMalformed", a, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := string(a.JSON("mine")); got != tt.want {
				t.Errorf("the client gets\n%s\nwant\n%s", got, tt.want)
			}
			if got := [2]int64{a.InputTokens, a.OutputTokens}; got != tt.tokens {
				t.Errorf("tokens %v, want %v", got, tt.tokens)
			}
		})
	}
}
