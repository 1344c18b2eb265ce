package relay

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"windlass.dev/windlass/pkg/run"
)

func TestJoin(t *testing.T) {
	t.Parallel()
	const calls = `{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},{"id":"c2","type":"function","function":{"name":"g","arguments":"{}"}}`
	piece := func(calls string) string { return `{"choices":[{"index":0,"delta":{"tool_calls":[` + calls + `]}}]}` }
	withCalls := `{"choices":[{"index":0,"message":{"content":null,"role":"assistant","tool_calls":[` + calls + `]},"logprobs":null,"finish_reason":"tool_calls"}],"object":"chat.completion","model":"mine"}`
	for _, tt := range []struct {
		name   string
		e      run.Endpoint
		in     []string
		want   string
		tokens [2]int64
		whole  bool
	}{
		{
			"text", run.ChatCompletions,
			[]string{
				`{"id":"c","object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}`,
				`{"id":"c","choices":[{"index":0,"delta":{"content":"hel"},"logprobs":{"content":[{"token":"hel"}]}}]}`, `{"id":"c","choices":[{"index":0,"delta":{"content":"lo"},"logprobs":{"content":[{"token":"lo"}]}}]}`,
				`{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`, `{"id":"c","choices":[],"usage":{"prompt_tokens":3.0,"completion_tokens":4}}`,
			},
			`{"id":"c","object":"chat.completion","created":1,"model":"mine","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"logprobs":{"content":[{"token":"hel"},{"token":"lo"}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":3.0,"completion_tokens":4}}`,
			[2]int64{3, 4},
			true,
		},
		{
			"reasoning, a refusal and members of a server", run.ChatCompletions,
			[]string{
				`{"choices":[{"index":0,"delta":{"reasoning_content":"h","refusal":null,"annotations":[{"a":1}]}}]}`, `{"choices":[{"index":0,"delta":{"reasoning_content":"m","refusal":"no","annotations":[{"b":2}],"annotations":[]}}]}`,
				`{"choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":"content_filter"}]}`,
			},
			`{"choices":[{"index":0,"message":{"reasoning_content":"hm","refusal":"no","annotations":[{"a":1},{"b":2}],"role":"assistant","content":null},"logprobs":null,"finish_reason":"content_filter"}],"object":"chat.completion","model":"mine"}`,
			[2]int64{},
			true,
		},
		{
			"choices side by side", run.ChatCompletions,
			[]string{`{"choices":[{"index":1,"delta":{"content":"b"}},{"index":0,"delta":{"content":"a"},"finish_reason":"length"}]}`, `{"choices":[{"index":1,"delta":{"content":"c"},"finish_reason":"stop"}]}`},
			`{"choices":[{"index":1,"message":{"content":"bc","role":"assistant"},"logprobs":null,"finish_reason":"stop"},{"index":0,"message":{"content":"a","role":"assistant"},"logprobs":null,"finish_reason":"length"}],"object":"chat.completion","model":"mine"}`,
			[2]int64{},
			true,
		},
		{
			"calls by their places", run.ChatCompletions,
			[]string{piece(`{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":""}}`), piece(`{"index":0,"function":{"arguments":"{\"a\""}}`), piece(`{"index":1,"id":"c2","function":{"name":"g"}}`), piece(`{"index":0,"function":{"arguments":":1}"}}`)},
			withCalls,
			[2]int64{},
			false,
		},
		{
			"calls by their ids at one place", run.ChatCompletions,
			[]string{piece(`{"index":0,"id":"c1","function":{"name":"f","arguments":"{\"a\":1}"}},{"index":0,"id":"c2","function":{"name":"g","arguments":{}}}`)},
			withCalls,
			[2]int64{},
			false,
		},
		{
			"names in pieces, and once more", run.ChatCompletions,
			[]string{piece(`{"index":0,"id":"c1","function":{}}`), piece(`{"index":0,"function":{"name":"f"}}`), piece(`{"index":0,"id":"c1","function":{"name":"f","arguments":"{\"a\":1}"}}`), piece(`{"id":"c2","function":{"name":"g","arguments":null}}`)},
			withCalls,
			[2]int64{},
			false,
		},
		{
			"calls that have only names", run.ChatCompletions,
			[]string{piece(`{"index":0,"function":{"name":"f","arguments":"{}"}}`), piece(`{"index":0,"function":{"name":"f","arguments":"{}"},"extra":{"x":1}}`)},
			`{"choices":[{"index":0,"message":{"content":null,"role":"assistant","tool_calls":[{"id":"","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"","type":"function","function":{"name":"f","arguments":"{}"},"extra":{"x":1}}]},"logprobs":null,"finish_reason":"tool_calls"}],"object":"chat.completion","model":"mine"}`,
			[2]int64{},
			false,
		},
		{
			"a completion", run.Completions,
			[]string{`{"id":"c","object":"text_completion","choices":[{"index":0,"text":"a"}]}`, `{"choices":[{"index":0,"text":"b","finish_reason":"length"}]}`},
			`{"id":"c","object":"text_completion","choices":[{"index":0,"text":"ab","logprobs":null,"finish_reason":"length"}],"model":"mine"}`,
			[2]int64{},
			true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			j := Join(tt.e)
			for _, chunk := range tt.in {
				if err := j.Add([]byte(chunk)); err != nil {
					t.Fatal(err)
				}
			}
			a, err := j.Answer()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(a.JSON("mine"))); diff != "" || j.Whole() != tt.whole || a.InputTokens != tt.tokens[0] || a.OutputTokens != tt.tokens[1] {
				t.Errorf("whole %v, %d and %d tokens (-want +got):\n%s", j.Whole(), a.InputTokens, a.OutputTokens, diff)
			}
		})
	}
	for _, chunks := range [][]string{nil, {`{"id":"c"}`}, {`{"id":"c","choices":[]}`}} {
		j := Join(run.ChatCompletions)
		for _, c := range chunks {
			if err := j.Add([]byte(c)); err != nil {
				t.Error(err)
			}
		}
		if a, err := j.Answer(); !errors.Is(err, ErrMalformed) || j.Whole() {
			t.Errorf("%q are the answer %s, %v", chunks, a.body, err)
		}
	}
	for _, chunk := range []string{``, `x`, `[]`, `{"choices":`} {
		if err := Join(run.ChatCompletions).Add([]byte(chunk)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q is a chunk: %v", chunk, err)
		}
	}
}

func TestChunks(t *testing.T) {
	t.Parallel()
	const usage = `"usage":{"prompt_tokens":3,"completion_tokens":4}`
	for _, tt := range []struct {
		name string
		e    run.Endpoint
		ask  string
		in   string
		want []string
	}{
		{
			"text", run.ChatCompletions, `,"stream_options":{"include_usage":true}`,
			`{"id":"c","object":"chat.completion","created":1,"model":"up","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"logprobs":{"content":[]},"finish_reason":"stop"}],` + usage + `}`,
			[]string{
				`{"id":"c","object":"chat.completion.chunk","created":1,"model":"mine","choices":[{"index":0,"logprobs":{"content":[]},"finish_reason":null,"delta":{"role":"assistant","content":"hi"}}]}`,
				`{"id":"c","object":"chat.completion.chunk","created":1,"model":"mine","choices":[{"index":0,"finish_reason":"stop","delta":{}}]}`,
				`{"id":"c","object":"chat.completion.chunk","created":1,"model":"mine","choices":[],` + usage + `}`,
			},
		},
		{
			"calls, and usage that nobody asked for", run.ChatCompletions, ``,
			`{"choices":[{"message":{"content":null,"tool_calls":[{"id":"a","function":{"name":"f"}},{"id":"b","index":7,"function":{"name":"g"}}]},"finish_reason":null}],` + usage + `}`,
			[]string{
				`{"choices":[{"finish_reason":null,"index":0,"delta":{"content":null,"tool_calls":[{"id":"a","function":{"name":"f"},"index":0},{"id":"b","index":1,"function":{"name":"g"}}],"role":"assistant"}}],"model":"mine","object":"chat.completion.chunk"}`,
				`{"choices":[{"finish_reason":"tool_calls","index":0,"delta":{}}],"model":"mine","object":"chat.completion.chunk"}`,
			},
		},
		{
			"choices without messages", run.ChatCompletions, ``, `{"choices":[{"index":1,"finish_reason":"length"},7]}`,
			[]string{
				`{"choices":[{"index":1,"finish_reason":null,"delta":{"role":"assistant"}}],"model":"mine","object":"chat.completion.chunk"}`,
				`{"choices":[{"index":1,"finish_reason":"length","delta":{}}],"model":"mine","object":"chat.completion.chunk"}`,
			},
		},
		{
			"a completion", run.Completions, `,"stream_options":{"include_usage":true}`, `{"object":"text_completion","choices":[{"text":"a","index":0,"finish_reason":"stop"},{"text":"b","finish_reason":"stop"}]}`,
			[]string{
				`{"object":"text_completion","choices":[{"text":"a","index":0,"finish_reason":"stop"}],"model":"mine"}`, `{"object":"text_completion","choices":[{"text":"b","finish_reason":"stop","index":1}],"model":"mine"}`,
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, err := ReadAnswer(tt.e, []byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range a.Chunks(streamed(t, tt.e, `{"model":"mine","messages":[{}],"prompt":"a","stream":true`+tt.ask+`}`)) {
				got = append(got, string(c))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzJoin: whatever chunks come, what they make is JSON in one line, and the
// chunks of it make the same answer again.
func FuzzJoin(f *testing.F) {
	f.Add([]byte(`{"id":"c","choices":[{"index":0,"delta":{"content":"a","tool_calls":[{"index":0,"id":"x","function":{"name":"f","arguments":"{"}}]}}]}` + "\n" +
		`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":"3"}}`))
	f.Add([]byte(`{"choices":[{"delta":{"a":[1],"b":{"c":null}},"logprobs":{"content":[{}]}}]}` + "\n" + `{"choices":[{"delta":{"a":[],"b":"x"}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		j := Join(run.ChatCompletions)
		for line := range strings.Lines(string(data)) {
			if j.Add([]byte(line)) != nil {
				return
			}
		}
		a, err := j.Answer()
		if err != nil {
			return
		}
		text := a.JSON("m")
		if !json.Valid(text) || strings.ContainsAny(string(text), "\r\n") {
			t.Fatalf("%q make %q", data, text)
		}
		whole, err := ReadAnswer(run.ChatCompletions, text)
		if err != nil {
			t.Fatalf("%q make %s: %v", data, text, err)
		}
		again := Join(run.ChatCompletions)
		for _, c := range whole.Chunks(&Request{Endpoint: run.ChatCompletions, Model: "m", Stream: true}) {
			if !json.Valid(c) {
				t.Fatalf("%s has the chunk %q", text, c)
			}
			if err := again.Add(c); err != nil {
				t.Fatalf("%s has the chunk %q: %v", text, c, err)
			}
		}
		if _, err := again.Answer(); err != nil {
			t.Fatalf("the chunks of %s make none: %v", text, err)
		}
	})
}
