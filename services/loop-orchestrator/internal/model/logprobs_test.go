package model

import (
	"encoding/json"
	"testing"
)

func TestLogprobs(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		`null`: "", `[]`: "", `7`: "", `[1]`: "", `[{"token":"a"}]`: "", `[{"token":"a","logprob":"-1"}x]`: "", `[{"token":"a","logprob":-1,"top_logprobs":[{"token":"b"}]}]`: "",
		`[{"token":"a","logprob":-0.10,"bytes":[97],"top_logprobs":[{"token":"b","logprob":-9999.0,"bytes":[98]}]}]`: `[{"token":"a","logprob":-0.10,"bytes":[97],"top_logprobs":[{"token":"b","logprob":-9999.0,"bytes":[98]}]}]`,
		"[\n{\"token\": \"ü\",\n\"logprob\": -1, \"bytes\": null, \"id\": 3}]":                                       `[{"token":"ü","logprob":-1,"bytes":[195,188],"top_logprobs":[]}]`,
		`[{"token":"","logprob":0},{"token":"b","logprob":-2e-3,"top_logprobs":[{"token":"c","logprob":-1}]}]`:       `[{"token":"","logprob":0,"bytes":[],"top_logprobs":[]},{"token":"b","logprob":-2e-3,"bytes":[98],"top_logprobs":[{"token":"c","logprob":-1,"bytes":[99]}]}]`,
	} {
		if got := string(Logprobs(json.RawMessage(content))); got != want {
			t.Errorf("%s is %s, want %s", content, got, want)
		}
	}
}
