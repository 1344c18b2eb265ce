package chat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/loop-orchestrator/internal/modeltest"
	"windlass.dev/windlass/services/loop-orchestrator/internal/rawjson"
)

// FuzzStream holds that any chunks, one a line, are either refused or yield
// valid deltas and a record that can be read again.
func FuzzStream(f *testing.F) {
	delta := func(members string) string { return `{"choices":[{"delta":{` + members + `}}]}` }
	for _, chunks := range [][]string{
		{delta(`"role":"assistant","content":""`), delta(`"content":"a\u0000\ud800"`), `{"choices":[{"delta":{},"finish_reason":"stop"}]}`, `{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":-1}}`},
		{delta(`"reasoning_content":"r"`), delta(`"refusal":"n"`), delta(`"content":"c"`), `{"choices":[{"finish_reason":"length"}]}`},
		{delta(`"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":""}}]`), delta(`"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]`), `{"choices":[{"finish_reason":"tool_calls"}]}`},
		{delta(`"tool_calls":[{"function":{"name":"f"}},{"function":{"name":"g","arguments":"\n"}}]`), `{"choices":[{"finish_reason":"x"}]}`},
		{"{\"choices\":[{\"delta\":{\"content\":\"a\"},\"logprobs\":{\"content\":[{\"token\":\"a\",\"logprob\":-1}]},\"finish_reason\":\"content_filter\"}]}"},
		{`{"error":{"message":"m"}}`},
		{delta(`"content":[{"type":"thinking","thinking":[{"type":"text","text":"r"}]},{"type":"text","text":"a"},7]`), delta(`"content":"b","reasoning_details":[{"index":0,"text":"x"}]`), delta(`"reasoning_details":[{"index":0,"text":"y"},{}]`), "[DONE]"},
		{delta(`"tool_calls":[{"index":0,"id":"c1","extra_content":{"a":"<"},"function":{"arguments":{}}}]`), delta(`"tool_calls":{"index":0,"function":{"name":"f","arguments":"{\"a\":1}"}}`), "[DONE]"},
		{delta(`"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":"{}"}},{"index":0,"id":"c2","function":{"name":"p","arguments":null}}]`), `{"choices":[{"message":{"content":"a"},"finish_reason":"eos"}]}`},
		{delta(`"function_call":{"name":"f"}`), delta(`"function_call":{"arguments":"nul"}`), `{"choices":{"finish_reason":7,"usage":[]},"usage":{"prompt_tokens":"1"}}`},
		{`{"choices":null}`, `[]`},
	} {
		f.Add([]byte(strings.Join(chunks, "\n")))
	}
	listener := modeltest.New(f, Dialect{}, registry.Chat)
	f.Fuzz(func(t *testing.T, data []byte) { listener.Stream(t, bytes.Split(data, []byte("\n"))) })
}

// FuzzScript is FuzzStream with chunks that fit together more often: each byte
// chooses one.
func FuzzScript(f *testing.F) {
	var catalog []string
	for _, members := range []string{
		`"content":"a"`, `"content":"é"`, `"refusal":"n"`, `"reasoning":"r"`, `"reasoning_content":"r","content":"a"`,
		`"tool_calls":[{"index":0,"id":"c0","function":{"name":"f","arguments":"a"}}]`, `"tool_calls":[{"index":1,"id":"c1","function":{"name":"f"}}]`,
		`"tool_calls":[{"index":0,"function":{"arguments":"b"}}]`, `"tool_calls":[{"index":1,"function":{"arguments":"b"}}]`,
		`"tool_calls":[{"function":{"name":"f","arguments":"a"}}]`, `"tool_calls":[{"function":{"arguments":"b"}}]`,
		`"tool_calls":[{"index":2,"id":"c0","function":{"name":"f"}}]`,
		`"tool_calls":[{"index":0,"id":"c2","function":{"arguments":"{}"}}]`, `"tool_calls":[{"index":0,"x":[{"index":0,"text":"t"}],"function":{"name":"fo","y":"<"}}]`,
		`"tool_calls":[{"function":{"name":"o","arguments":"{\"a\":1}"}}]`, `"function_call":{"name":"f","arguments":{}}`,
		`"content":[{"type":"thinking","thinking":"r"},{"type":"acme"}]`, `"reasoning":{"text":"r"},"details":{"a":["b"]}`,
	} {
		catalog = append(catalog, `{"choices":[{"delta":{`+members+`}}]}`)
	}
	catalog = append(catalog, `{"choices":[{"delta":{"content":"a"},"logprobs":{"content":[{"token":"a","logprob":0,"bytes":null,"top_logprobs":[]}]}}]}`, `{"choices":[]}`)
	f.Add([]byte{0, 0, 2}, byte(0))
	f.Add([]byte{4, 5, 7, 6, 8, 9, 10, 11}, byte(1))
	listener := modeltest.New(f, Dialect{}, registry.Chat)
	f.Fuzz(func(t *testing.T, script []byte, finish byte) {
		var events [][]byte
		for _, c := range script {
			events = append(events, []byte(catalog[int(c)%len(catalog)]))
		}
		reasons := []string{"stop", "tool_calls", "length", "content_filter", "odd"}
		listener.Stream(t, append(events, fmt.Appendf(nil, `{"choices":[{"delta":{},"finish_reason":%q}]}`, reasons[int(finish)%len(reasons)])))
	})
}

// FuzzAttached holds that attached members, from any pieces, are JSON.
func FuzzAttached(f *testing.F) {
	for _, pieces := range []string{
		`{"d":[{"index":0,"type":"reasoning.text","text":"a"}]}` + "\n" + `{"d":[{"index":0,"type":"reasoning.text","text":"b","signature":"s"},{"index":1}]}`,
		`{"d":{"a":{"text":"x"}}}` + "\n" + `{"d":{"a":{"text":"y","b":null},"c":[1]}}` + "\n" + `{"d":7}`, `{"d":[]}` + "\n" + `{"d":[{"type":"text","text":"a"}]}` + "\n" + `{"d":[{"type":"text","text":"b"},"c"]}`,
		`{"":"","text":"\u0000\ud800"}` + "\n" + `{"text":"<"}`,
	} {
		f.Add([]byte(pieces))
	}
	f.Fuzz(func(t *testing.T, pieces []byte) {
		var all attached
		left := maxAttached
		for line := range bytes.SplitSeq(pieces, []byte("\n")) {
			if v, ok := rawjson.Valid(line); ok {
				for name, m := range rawjson.Members(v) {
					all.add(name, m, &left)
				}
			}
		}
		if kept := all.json(); kept != nil && !json.Valid(kept) {
			t.Errorf("kept %q", kept)
		}
	})
}

// FuzzDecode is FuzzStream for a whole answer.
func FuzzDecode(f *testing.F) {
	for _, body := range []string{
		`{"choices":[{"finish_reason":"stop","message":{"content":"a\ud800","refusal":null,"reasoning_content":"r"},"logprobs":{"content":[{"token":"a","logprob":-1}]}}],"usage":{"prompt_tokens":1e3}}`,
		`{"choices":[{"finish_reason":"tool_calls","message":{"tool_calls":[{"id":"","function":{"name":"f","arguments":"{"}},{"id":"c","function":{"name":"g"}}]}}]}`,
		"{\"choices\":[{\"message\":{\"content\":\"\"},\n\"logprobs\":{\"content\":[\n1]}}]}", `{"choices":[{}]}`,
	} {
		f.Add([]byte(body))
	}
	listener := modeltest.New(f, Dialect{}, registry.Chat)
	f.Fuzz(func(t *testing.T, body []byte) { listener.Whole(t, body) })
}
