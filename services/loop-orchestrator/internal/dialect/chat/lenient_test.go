package chat

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// An odd member costs nothing but itself, in an answer and in a chunk.
func TestOddMembers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		message string
		want    []string
	}{
		"a text":                     {`"content":"a"`, []string{"output_text a"}},
		"null":                       {`"content":null`, nil},
		"nothing":                    {``, nil},
		"a number":                   {`"content":42`, []string{"output_text 42"}},
		"a boolean":                  {`"content":true`, []string{"output_text true"}},
		"parts":                      {`"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]`, []string{"output_text ab"}},
		"one part":                   {`"content":{"type":"text","text":"a"}`, []string{"output_text a"}},
		"texts":                      {`"content":["a","b"]`, []string{"output_text ab"}},
		"output_text":                {`"content":[{"type":"output_text","text":"a"}]`, []string{"output_text a"}},
		"no type":                    {`"content":[{"text":"a"}]`, []string{"output_text a"}},
		"a value":                    {`"content":[{"type":"text","text":{"value":"a"}}]`, []string{"output_text a"}},
		"unknown parts":              {`"content":[{"type":"acme","text":"x"},7,null,[],{"type":"text","text":"a"},{"type":9}]`, []string{"output_text a"}},
		"only unknown parts":         {`"content":[{"type":"reference","reference_ids":[1]}]`, nil},
		"Mistral's thinking":         {`"content":[{"type":"thinking","thinking":[{"type":"text","text":"r"}]},{"type":"text","text":"a"}]`, []string{"thought r", "output_text a"}},
		"Anthropic's thinking":       {`"content":[{"type":"thinking","thinking":"r","signature":"s"},{"type":"text","text":"a"}]`, []string{"thought r", "output_text a"}},
		"a part that is reasoning":   {`"content":[{"type":"reasoning","text":"r"},{"type":"text","text":"a"}]`, []string{"thought r", "output_text a"}},
		"a refusal part":             {`"content":[{"type":"refusal","refusal":"n"}]`, []string{"refusal n"}},
		"reasoning_content":          {`"reasoning_content":"r","content":"a"`, []string{"thought r", "output_text a"}},
		"both names":                 {`"reasoning":"r","reasoning_content":"r","content":"a"`, []string{"thought r", "output_text a"}},
		"thinking":                   {`"thinking":"r"`, []string{"thought r"}},
		"reasoning as an object":     {`"reasoning":{"content":"r"}`, []string{"thought r"}},
		"reasoning as a list":        {`"reasoning":[{"text":"r"},{"text":"s"}]`, []string{"thought rs"}},
		"reasoning of another type":  {`"reasoning":true,"reasoning_content":7,"content":"a"`, []string{"output_text a"}},
		"a refusal":                  {`"refusal":"n"`, []string{"refusal n"}},
		"a refusal of another type":  {`"refusal":false,"content":"a"`, []string{"output_text a"}},
		"a refusal of no text":       {`"refusal":{},"content":"a"`, []string{"output_text a"}},
		"a refusal in a list":        {`"refusal":[{"refusal":"n"}]`, []string{"refusal n"}},
		"odd roles, names and audio": {`"role":7,"name":[],"audio":{"id":1},"content":"a"`, []string{"output_text a"}},
		"deep":                       {`"content":[[[[[[[{"text":"x"}]]]]]]],"refusal":"n"`, []string{"refusal n"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole, err := Dialect{}.Decode([]byte(`{"choices":[{"message":{` + tt.message + `},"logprobs":[7],"finish_reason":"stop"}],"usage":7,"model":null,"system_fingerprint":[]}`))
			if err != nil {
				t.Fatal(err)
			}
			for what, chunks := range map[string][]string{
				"a delta":               {`{"choices":[{"delta":{` + tt.message + `},"logprobs":"x"}]}`, endChunk("stop")},
				"a message for a delta": {`{"choices":[{"message":{` + tt.message + `}}]}`, endChunk("stop")},
				"a message beside one":  {`{"choices":[{"delta":{},"message":{` + tt.message + `}}]}`, endChunk("stop")},
				"one choice, no list":   {`{"choices":{"delta":{` + tt.message + `},"finish_reason":"stop"}}`},
				"[DONE] for a reason":   {`{"choices":[{"delta":{` + tt.message + `}}]}`, "[DONE]"},
				"chunks that are no objects": {
					`{}`, `null`, `{"choices":null}`, `{"choices":[]}`, `{"choices":[{}]}`, `{"choices":[null]}`, `{"choices":[7]}`, `{"choices":"x"}`, `{"choices":[{"delta":null}]}`, `{"choices":[{"delta":[]}]}`, `[]`, `7`,
					`{"choices":[{"delta":{` + tt.message + `}}]}`, `{"choices":[{"delta":null,"finish_reason":"stop"}]}`, `{"choices":[],"usage":null}`,
				},
			} {
				a, err := readStream(t, chunks...)
				if err != nil {
					t.Errorf("%s: %v", what, err)
				}
				if diff := cmp.Diff(tt.want, describe(a)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", what, diff)
				}
			}
			if diff := cmp.Diff(tt.want, describe(whole)); diff != "" {
				t.Errorf("an answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTextIsSaidOnce(t *testing.T) {
	t.Parallel()
	long := "a text of some length"
	for name, tt := range map[string]struct {
		chunks []string
		want   []string
	}{
		"all of it in the last delta": {
			[]string{chunk(`"content":"a text of "`), chunk(`"content":"some length"`), `{"choices":[{"delta":{"content":"` + long + `"},"finish_reason":"stop"}]}`},
			[]string{"output_text " + long},
		},
		"and more": {
			[]string{chunk(`"content":"a text of "`), chunk(`"content":"some length"`), `{"choices":[{"delta":{"content":"` + long + `!"},"finish_reason":"stop"}]}`},
			[]string{"output_text " + long + "!"},
		},
		"all of it in a message": {
			[]string{chunk(`"reasoning":"because of "`), chunk(`"reasoning":"something"`), chunk(`"content":"a text of "`), chunk(`"content":"some length"`), `{"choices":[{"message":{"content":"` + long + `","reasoning":"because of something"},"finish_reason":"stop"}]}`},
			[]string{"thought because of something", "output_text " + long},
		},
		"a piece that is the same": {[]string{chunk(`"content":"ha"`), chunk(`"content":"ha"`), `{"choices":[{"delta":{"content":"haha"},"finish_reason":"stop"}]}`}, []string{"output_text hahahaha"}},
		"the rest in the last one": {[]string{chunk(`"content":"hel"`), `{"choices":[{"delta":{"content":"lo"},"finish_reason":"stop"}]}`}, []string{"output_text hello"}},
		"messages as pieces":       {[]string{`{"choices":[{"message":{"content":"ha"}}]}`, `{"choices":[{"message":{"content":"ha"}}]}`, endChunk("stop")}, []string{"output_text haha"}},
		"lists and texts mixed": {
			[]string{chunk(`"content":"a"`), chunk(`"content":[{"type":"thinking","thinking":[{"type":"text","text":"r"}]}]`), chunk(`"content":[{"type":"text","text":"b"}]`), chunk(`"content":"c"`), endChunk("stop")},
			[]string{"output_text abc", "thought r"},
		},
	} {
		a, err := readStream(t, tt.chunks...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(tt.want, describe(a)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestEnds(t *testing.T) {
	t.Parallel()
	const (
		text  = `"content":"a"`
		whole = `"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{}"}}]`
		empty = `"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":""}}]`
		half  = `"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{\"a"}}]`
	)
	for reason, want := range map[string]map[string]model.Finish{
		"stop": {text: model.Stopped, whole: model.Stopped, half: model.Stopped}, // whose arguments are refused
		"":     {text: model.Stopped, whole: model.Stopped, empty: model.Stopped, half: model.Other},
		"eos":  {text: model.Stopped, whole: model.Stopped}, "end_turn": {text: model.Stopped, whole: model.Stopped}, "tool_use": {whole: model.Stopped},
		"STOP": {text: model.Stopped, whole: model.Stopped}, "stop_sequence": {text: model.Stopped}, "FINISH_REASON_STOP": {text: model.Stopped},
		"tired":  {text: model.Stopped, whole: model.Stopped, empty: model.Stopped, half: model.Other, "": model.Stopped},
		"length": {text: model.Length, whole: model.Length, half: model.Length}, "MAX_TOKENS": {text: model.Length, whole: model.Length}, "max_tokens": {half: model.Length},
		"model_length": {text: model.Length}, "max_output_tokens": {text: model.Length}, "Max-Tokens": {text: model.Length},
		"content_filter": {text: model.Filtered}, "SAFETY": {text: model.Filtered, "": model.Filtered}, "RECITATION": {text: model.Filtered}, "PROHIBITED_CONTENT": {text: model.Filtered},
	} {
		for said, finish := range want {
			last := endChunk(reason)
			if reason == "" {
				last = "[DONE]"
			}
			streamed, err := readStream(t, chunk(said), last)
			if err != nil || streamed.Finish != finish {
				t.Errorf("%q behind %s is %s, %v; want %s", reason, said, streamed.Finish, err, finish)
			}
			a, err := Dialect{}.Decode([]byte(`{"choices":[{"message":{` + said + `},"finish_reason":"` + reason + `"}]}`))
			if err != nil || a.Finish != finish {
				t.Errorf("%q of %s is %s, %v; want %s", reason, said, a.Finish, err, finish)
			}
		}
	}
	for _, chunks := range [][]string{{chunk(text)}, {chunk(text), endChunk("")}, {"[DONE]"}, {`{"choices":[]}`, `{}`, "[DONE]"}, {}} {
		if a, err := readStream(t, chunks...); !errors.Is(err, model.ErrBrokenOff) {
			t.Errorf("%s ended with %+v, %v; want model.ErrBrokenOff", chunks, a, err)
		}
	}
	for _, odd := range []string{`7`, `true`, `["stop"]`, `{"type":"stop"}`} {
		a, err := readStream(t, `{"choices":[{"delta":{`+text+`},"finish_reason":`+odd+`}]}`, "[DONE]")
		if err != nil || a.Finish != model.Stopped {
			t.Errorf("the reason %s is %s, %v", odd, a.Finish, err)
		}
	}
}

// A finish reason that says that the provider failed fails the call.
func TestFailures(t *testing.T) {
	t.Parallel()
	type failure struct {
		said, reason, more string
		status             int
		code, message      string
		retriable          bool
	}
	for name, tt := range map[string]failure{
		"error":                     {`"content":"partial"`, "error", ``, 200, "server_error", `"error"`, true},
		"native, nothing said":      {``, "stop", `"native_finish_reason":"network_error"`, 200, "server_error", "network_error", true},
		"native, nothing but empty": {`"content":""`, "stop", `"native_finish_reason":"error"`, 200, "server_error", `"error"`, true},
		"native, Gemini's":          {`"content":null`, "stop", `"native_finish_reason":"MALFORMED_FUNCTION_CALL"`, 200, "server_error", "MALFORMED_FUNCTION_CALL", true},
		"Gemini's":                  {`"content":""`, "MALFORMED_FUNCTION_CALL", ``, 200, "server_error", "MALFORMED_FUNCTION_CALL", true},
		"network_error":             {`"content":"partial"`, "network_error", ``, 200, "server_error", "network_error", true},
		"a call":                    {`"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]`, "error", ``, 200, "server_error", `"error"`, true},
		"DeepSeek's":                {`"content":"partial"`, "insufficient_system_resource", ``, 200, "server_error", "resource", true},
	} {
		choice := func(said string) string {
			c := `{"` + said + `":{` + tt.said + `},"finish_reason":"` + tt.reason + `"`
			if tt.more != "" {
				c += "," + tt.more
			}
			return `{"choices":[` + c + `}]}`
		}
		_, streamed := readStream(t, choice("delta"), "[DONE]")
		_, whole := Dialect{}.Decode([]byte(choice("message")))
		for how, err := range map[string]error{"streamed": streamed, "whole": whole} {
			var e *run.Failure
			if !errors.As(err, &e) {
				t.Errorf("%s, %s: error %v", name, how, err)
			} else if e.HTTPStatus != tt.status || e.Code != tt.code || e.Retriable != tt.retriable || !strings.Contains(e.Message, tt.message) {
				t.Errorf("%s, %s: %+v, want %+v", name, how, e, tt)
			}
		}
	}
	for _, said := range []string{`"native_finish_reason":"network_error"`, `"native_finish_reason":null`} {
		a, err := readStream(t, `{"choices":[{"delta":{"content":"all of it"},"finish_reason":"stop",`+said+`}]}`)
		if err != nil || a.Finish != model.Stopped {
			t.Errorf("%s behind a text is %s, %v", said, a.Finish, err)
		}
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	u := func(in, out int64) responses.Usage { return responses.Usage{InputTokens: in, OutputTokens: out} }
	for usage, want := range map[string]responses.Usage{
		`{"prompt_tokens":10,"completion_tokens":5}`: u(10, 5), `{"prompt_tokens":10.0,"completion_tokens":5.5}`: u(10, 6), `{"prompt_tokens":"10","completion_tokens":" 5 "}`: u(10, 5),
		`"oops"`: {}, `""`: {}, `[]`: {}, `[1]`: {}, `null`: {}, `7`: {}, `{}`: {}, `{"prompt_tokens":null,"completion_tokens":[]}`: {}, `{"prompt_tokens":{},"completion_tokens":3}`: u(0, 3),
		`{"prompt_tokens":-4,"completion_tokens":1e999}`: {}, `{"prompt_tokens":9223372036854775807,"completion_tokens":99999999999999999999}`: {}, `{"prompt_tokens":"many"}`: {},
		`{"prompt_tokens":1,"completion_tokens":2,"prompt_tokens_details":[],"completion_tokens_details":"x"}`: u(1, 2), `{"input_tokens":3,"output_tokens":4}`: u(3, 4),
		`{"prompt_tokens":9,"completion_tokens":8,"prompt_tokens_details":{"cached_tokens":"4","cache_write_tokens":1.0},"completion_tokens_details":{"reasoning_tokens":2.0}}`: {
			InputTokens: 9, CachedTokens: 4, CacheWriteTokens: 1, OutputTokens: 8, ReasoningTokens: 2,
		},
		`{"prompt_tokens":9,"prompt_cache_hit_tokens":4}`: {InputTokens: 9, CachedTokens: 4},
	} {
		a, err := Dialect{}.Decode([]byte(`{"choices":[{"message":{"content":"a"}}],"usage":` + usage + `}`))
		if err != nil || a.Usage != want || len(a.Outputs) != 1 {
			t.Errorf("%s is %+v, %v; want %+v", usage, a.Usage, err, want)
		}
		for what, chunks := range map[string][]string{
			"behind":        {chunk(`"content":"a"`), endChunk("stop"), `{"choices":[],"usage":` + usage + `}`},
			"then nothing":  {chunk(`"content":"a"`), `{"choices":[],"usage":` + usage + `}`, endChunk("stop"), `{"choices":[],"usage":null}`, `{"usage":{"prompt_tokens":0}}`},
			"in the choice": {chunk(`"content":"a"`), `{"choices":[{"delta":{},"finish_reason":"stop","usage":` + usage + `}]}`},
		} {
			if a, err := readStream(t, chunks...); err != nil || a.Usage != want {
				t.Errorf("%s %s is %+v, %v; want %+v", usage, what, a.Usage, err, want)
			}
		}
	}
	a, err := readStream(t, `{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":0}}`, `{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}],"usage":{"completion_tokens":3}}`)
	if want := u(7, 3); err != nil || a.Usage != want {
		t.Errorf("usage in pieces is %+v, %v; want %+v", a.Usage, err, want)
	}
}
