package relay

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"windlass.dev/windlass/pkg/run"
)

func streamed(tb testing.TB, e run.Endpoint, body string) *Request {
	tb.Helper()
	r, f := Decode(e, []byte(body))
	if f != nil {
		tb.Fatal(f)
	}
	return r
}

func TestUpstreamOfAStream(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{
			"usage is asked for", `{"model":"m","messages":[{}],"stream":true}`,
			`{"model":"up/1","messages":[{}],"stream":true,"stream_options":{"include_usage":true}}`,
		},
		{
			"other options stay", `{"stream_options":{"include_obfuscation":false,"include_usage":null},"model":"m","messages":[{}],"stream":true}`,
			`{"stream_options":{"include_obfuscation":false,"include_usage":true},"model":"up/1","messages":[{}],"stream":true}`,
		},
		{
			"who asks for it gets what was sent", `{"model":"m","messages":[{}],"stream": true,"stream_options":{ "include_usage":true}}`,
			`{"model":"up/1","messages":[{}],"stream": true,"stream_options":{ "include_usage":true}}`,
		},
		{
			"what is said twice is said once", `{"stream":false,"model":"m","stream_options":null,"messages":[{}],"stream":true,"stream_options":{"include_usage":false}}`,
			`{"stream":true,"model":"up/1","stream_options":{"include_usage":true},"messages":[{}]}`,
		},
		{
			"what is taken back is not said", `{"model":"m","messages":[{}],"stream":true,"stream":null}`, `{"model":"up/1","messages":[{}]}`,
		},
		{
			"options without a stream are the upstream's to refuse", `{"model":"m","messages":[{}],"stream_options":{"include_usage":true}}`,
			`{"model":"up/1","messages":[{}],"stream_options":{"include_usage":true}}`,
		},
	} {
		if got := string(streamed(t, run.ChatCompletions, tt.in).Upstream("up/1")); got != tt.want {
			t.Errorf("%s: the upstream gets\n%s\nwant\n%s", tt.name, got, tt.want)
		}
	}
	for body, param := range map[string]string{
		`{"model":"m","messages":[{}],"stream":true,"stream_options":[]}`:                    "stream_options",
		`{"model":"m","messages":[{}],"stream":true,"stream_options":{"include_usage":"y"}}`: "stream_options.include_usage",
	} {
		if _, f := Decode(run.ChatCompletions, []byte(body)); f == nil || f.Param != param || f.Code != "invalid_type" {
			t.Errorf("%s is refused by %+v, want %s", body, f, param)
		}
	}
	if r := streamed(t, run.Embeddings, `{"model":"m","input":"x","stream_options":1}`); r.Usage {
		t.Errorf("embeddings have %+v", r)
	}
}

func TestStream(t *testing.T) {
	t.Parallel()
	const usage = `{"model":"up/1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}`
	for _, tt := range []struct {
		name  string
		body  string
		in    []string
		want  []string // "": nothing for the client
		whole bool
	}{
		{
			"chunks pass", `{"model":"mine","messages":[{}],"stream":true}`,
			[]string{`{"id":"c","model":"up/1","choices":[{"index":0,"delta":{"x":1.0},"finish_reason":null}],"usage":null}`, "{\n\"choices\":[{\"index\":0,\"finish_reason\":\"stop\"}]}", usage},
			[]string{`{"id":"c","model":"mine","choices":[{"index":0,"delta":{"x":1.0},"finish_reason":null}],"usage":null}`, `{"choices":[{"index":0,"finish_reason":"stop","delta":{}}],"model":"mine"}`, ""},
			true,
		},
		{
			"usage for who asks", `{"model":"mine","messages":[{}],"stream":true,"stream_options":{"include_usage":true}}`,
			[]string{usage},
			[]string{`{"model":"mine","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}`},
			false,
		},
		{
			"every choice ends", `{"model":"m","messages":[{}],"stream":true}`,
			[]string{`{"model":"m","choices":[{"index":0,"finish_reason":"stop","delta":{}},{"index":1,"delta":{}}]}`},
			[]string{`{"model":"m","choices":[{"index":0,"finish_reason":"stop","delta":{}},{"index":1,"delta":{}}]}`},
			false,
		},
		{
			"no usage and no choices is something else", `{"model":"m","messages":[{}],"stream":true}`,
			[]string{`{"model":"m","choices":[],"prompt_filter_results":[]}`},
			[]string{`{"model":"m","choices":[],"prompt_filter_results":[]}`},
			false,
		},
		{
			"choices and deltas that are missing", `{"model":"m","messages":[{}],"stream":true}`,
			[]string{`{"id":"c","x":1}`, `{"type":"ping"}`, `{"object":"chat.completion.chunk","choices":null}`, `{"choices":[{"index":0,"delta":null}]}`, `{"choices":[{"index":0,"message":{"content":"a"},"finish_reason":"stop"}]}`},
			[]string{
				`{"id":"c","x":1,"choices":[],"model":"m"}`, ``, `{"object":"chat.completion.chunk","choices":[],"model":"m"}`, `{"choices":[{"index":0,"delta":{}}],"model":"m"}`,
				`{"choices":[{"index":0,"finish_reason":"stop","delta":{"content":"a","role":"assistant"}}],"model":"m"}`,
			},
			true,
		},
		{
			"characters that were cut", `{"model":"m","messages":[{}],"stream":true}`,
			[]string{"{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\xe2\x82\"},\"finish_reason\":\"\"}]}"},
			[]string{`{"choices":[{"index":0,"delta":{"content":"` + "\ufffd" + `"},"finish_reason":""}],"model":"m"}`},
			false,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := NewStream(streamed(t, run.ChatCompletions, tt.body))
			var got []string
			told := int64(0)
			for _, data := range tt.in {
				chunk, err := s.Chunk([]byte(data))
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, string(chunk))
				if data == usage {
					told = 3
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || s.Whole() != tt.whole || s.InputTokens != told || told > 0 && s.OutputTokens != 4 {
				t.Errorf("whole: %v, %d and %d tokens; chunks (-want +got):\n%s", s.Whole(), s.InputTokens, s.OutputTokens, diff)
			}
		})
	}
	for _, data := range []string{``, `x`, `[]`, `{"error":{"message":"no"}}`} {
		if chunk, err := NewStream(streamed(t, run.ChatCompletions, `{"model":"m","messages":[{}]}`)).Chunk([]byte(data)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q is the chunk %s, %v; want ErrMalformed", data, chunk, err)
		}
	}
}
