package chat

import (
	"encoding/json"
	"errors"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

func newAnswer(f model.Finish, u responses.Usage, outputs ...model.Output) model.Answer {
	return model.Answer{Finish: f, Usage: u, Outputs: outputs}
}

func messageOutput(parts ...item.Part) model.Output {
	return model.Output{Kind: model.Message, Parts: parts}
}

func reasoningOutput(text, by string) model.Output {
	return model.Output{Kind: model.Reasoning, Reasoning: item.Reasoning{Text: text}, Own: json.RawMessage(`{"reasoning":["` + by + `"]}`)}
}

func callOutput(id, name, arguments string) model.Output {
	o := model.Output{Kind: model.Function, Call: model.ToolCall{ID: id, Name: name, Arguments: arguments}}
	if id != "" {
		o.Own = json.RawMessage(`{"id":"` + id + `"}`)
	}
	return o
}

func TestDecode(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		body string
		want model.Answer
		err  error
	}{
		{
			"text", `{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4,
			"prompt_tokens_details":{"cached_tokens":1},"completion_tokens_details":{"reasoning_tokens":2}}}`,
			newAnswer(model.Stopped, responses.Usage{InputTokens: 3, CachedTokens: 1, OutputTokens: 4, ReasoningTokens: 2}, messageOutput(item.Part{Type: "output_text", Text: "hi"})),
			nil,
		},
		{
			"calls", `{"choices":[{"message":{"content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}},
			{"function":{"name":"g"}}]},"finish_reason":"tool_calls"}]}`,
			newAnswer(model.Stopped, responses.Usage{}, callOutput("c", "f", "{}"), callOutput("", "g", "")),
			nil,
		},
		{"reasoning", `{"choices":[{"message":{"reasoning_content":"hm","content":""}}]}`, newAnswer(model.Stopped, responses.Usage{}, reasoningOutput("hm", "reasoning_content")), nil},
		{"reasoning by another name", `{"choices":[{"message":{"reasoning":"hm"}}]}`, newAnswer(model.Stopped, responses.Usage{}, reasoningOutput("hm", "reasoning")), nil},
		{"refusal", `{"choices":[{"message":{"refusal":"no"}}]}`, newAnswer(model.Stopped, responses.Usage{}, messageOutput(item.Part{Type: "refusal", Text: "no"})), nil},
		{
			"logprobs", `{"choices":[{"message":{"content":"a"},"logprobs":{"content":[{"token":"a","logprob":-1}]}}]}`,
			newAnswer(model.Stopped, responses.Usage{}, messageOutput(item.Part{Type: "output_text", Text: "a", Logprobs: json.RawMessage(`[{"token":"a","logprob":-1,"bytes":[97],"top_logprobs":[]}]`)})),
			nil,
		},
		{"cut", `{"choices":[{"message":{},"finish_reason":"length"}]}`, model.Answer{Finish: model.Length}, nil},
		{"filtered", `{"choices":[{"message":{},"finish_reason":"content_filter"}]}`, model.Answer{Finish: model.Filtered}, nil},
		{"an unknown end", `{"choices":[{"message":{},"finish_reason":"tired"}]}`, model.Answer{Finish: model.Stopped}, nil},
		{"no end", `{"choices":[{"message":{},"finish_reason":null}]}`, model.Answer{Finish: model.Stopped}, nil},
		{"usage below nothing", `{"choices":[{"message":{}}],"usage":{"prompt_tokens":-1}}`, model.Answer{Finish: model.Stopped}, nil},
		{"no choices", `{"choices":[]}`, model.Answer{}, model.ErrMalformed},
		{"no message", `{"choices":[{"finish_reason":"stop"}]}`, model.Answer{}, model.ErrMalformed},
		{"a call without a name", `{"choices":[{"message":{"tool_calls":[{"id":"c"}]}}]}`, model.Answer{}, model.ErrMalformed},
		{"no JSON", `<html>`, model.Answer{}, model.ErrMalformed},
		{"nothing", ``, model.Answer{}, model.ErrMalformed},
		{"another type", `{"choices":"none"}`, model.Answer{}, model.ErrMalformed},
		{"tokens beyond numbers", `{"choices":[{"message":{}}],"usage":{"prompt_tokens":1e999}}`, model.Answer{Finish: model.Stopped}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Dialect{}.Decode([]byte(tt.body))
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func call(tb testing.TB, input string, turns ...transcript.Turn) model.Call {
	tb.Helper()
	r, fault := responses.Decode([]byte(`{"model":"m","input":` + input + `}`))
	if fault != nil {
		tb.Fatalf("decode %s: %s", input, fault.JSON())
	}
	return model.Call{Model: "up", Request: r, Turns: turns}
}

// continueFrom returns a call that continues earlier responses, oldest first.
// Their instructions must not be sent.
func continueFrom(c model.Call, earlier ...model.Call) model.Call {
	for _, e := range earlier {
		e.Request.Instructions = "forget me"
		c.Ancestors = append(c.Ancestors, transcript.Ancestor{Input: e.Request.Input, Turns: e.Turns})
	}
	return c
}

// hashedID is the call id of a hosted call.
var hashedID = regexp.MustCompile(`call_[0-9a-f]{24}`)

func TestHistory(t *testing.T) {
	t.Parallel()
	turn := transcript.Turn{Tools: map[string]run.Step{
		"c1": {CallID: "c1", Output: []byte("one")}, "c2": {CallID: "c2", Output: []byte("two\xff")},
	}}
	turn.Items = []item.Item{
		item.Reasoning{ID: "rs", Text: "hm"}.Item(),
		item.Message("msg", "assistant", "completed", item.Part{Type: "output_text", Text: "let me see"}),
		item.Call{ID: "fc1", CallID: "c1", Name: "f", Arguments: `{"a":1}`}.Function(),
		item.Call{ID: "fc2", CallID: "c2", Name: "g", Arguments: `[1]`}.Function(),
	}
	silent := transcript.Turn{Tools: map[string]run.Step{"c3": {CallID: "c3", Output: []byte{}}}}
	silent.Items = []item.Item{item.Call{ID: "fc3", CallID: "c3", Name: "h", Arguments: ""}.Function()}
	quiet := transcript.Turn{Record: transcript.Record{Items: []item.Item{item.Message("msg", "assistant", "completed", item.Part{Type: "output_text"})}}}
	const wrapped = `"arguments":"{\"_invalid_arguments\":\"[1]\"}"`
	tests := []struct {
		name string
		call model.Call
		want string
	}{
		{"a text", call(t, `"hi"`), `[{"role":"user","content":"hi"}]`},
		{"no content", call(t, `[{"role":"user","content":[]}]`), `[{"role":"user","content":"(no input)"}]`},
		{
			"turns", call(t, `"hi"`, turn, silent),
			`[{"role":"user","content":"hi"},{"role":"assistant","content":"let me see","tool_calls":[
			{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},{"id":"c2","type":"function","function":{"name":"g",` + wrapped + `}}]},
			{"role":"tool","tool_call_id":"c1","content":"one"},{"role":"tool","tool_call_id":"c2","content":"two` + "\uFFFD" + `"},
			{"role":"assistant","content":null,"tool_calls":[{"id":"c3","type":"function","function":{"name":"h","arguments":"{}"}}]},
			{"role":"tool","tool_call_id":"c3","content":"(The tool returned no output.)"}]`,
		},
		{
			"earlier responses, without their instructions", continueFrom(call(t, `"and now?"`, silent), call(t, `"hi"`, turn), call(t, `[]`)),
			`[{"role":"user","content":"hi"},{"role":"assistant","content":"let me see","tool_calls":[
			{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},{"id":"c2","type":"function","function":{"name":"g",` + wrapped + `}}]},
			{"role":"tool","tool_call_id":"c1","content":"one"},{"role":"tool","tool_call_id":"c2","content":"two` + "\uFFFD" + `"},
			{"role":"user","content":"and now?"},
			{"role":"assistant","content":null,"tool_calls":[{"id":"c3","type":"function","function":{"name":"h","arguments":"{}"}}]},
			{"role":"tool","tool_call_id":"c3","content":"(The tool returned no output.)"}]`,
		},
		{
			"a client's call that is answered late", call(t, `[{"type":"function_call","call_id":"a","name":"f","arguments":"{}"},
			{"type":"function_call","call_id":"b","name":"f","arguments":"{}"},{"role":"user","content":"wait"},
			{"type":"function_call_output","call_id":"b","output":"2"},{"type":"function_call_output","call_id":"a","output":"1"}]`),
			`[{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},
			{"id":"b","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"b","content":"2"},
			{"role":"tool","tool_call_id":"a","content":"1"},{"role":"user","content":"wait"}]`,
		},
		{
			"outputs that say nothing", call(t, `[{"type":"function_call","call_id":"a","name":"f","arguments":" "},{"type":"function_call","call_id":"b","name":"f","arguments":"null"},
			{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"a","output":""},{"type":"function_call_output","call_id":"b","output":[]},
			{"type":"function_call_output","call_id":"c","output":[{"type":"input_image","image_url":"data:x"}]}]`),
			`[{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"b","type":"function","function":{"name":"f","arguments":"{}"}},
			{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a","content":"(The tool returned no output.)"},
			{"role":"tool","tool_call_id":"b","content":"(The tool returned no output.)"},{"role":"tool","tool_call_id":"c","content":"(The tool returned no text.)"}]`,
		},
		{
			"messages that say nothing", call(t, `[{"role":"system","content":""},{"role":"assistant","content":[]},{"role":"user","content":"a"},{"role":"assistant","content":" \n"},
			{"role":"user","content":[{"type":"input_text","text":""}]},{"role":"developer","content":""},{"role":"user","content":[{"type":"input_text","text":""},{"type":"input_text","text":"b"}]}]`),
			`[{"role":"user","content":"a"},{"role":"user","content":"(no input)"},{"role":"user","content":"b"}]`,
		},
		{"no input at all", call(t, `[]`), `[{"role":"user","content":"(no input)"}]`},
		{"instructions only", call(t, `[],"instructions":"Be brief."`), `[{"role":"system","content":"Be brief."},{"role":"user","content":"(no input)"}]`},
		{"a silent model, continued", continueFrom(call(t, `"again"`), call(t, `"hi"`, quiet)), `[{"role":"user","content":"hi"},{"role":"user","content":"again"}]`},
		{
			"a refusal", call(t, `[{"role":"assistant","content":[{"type":"refusal","refusal":"no"}]},{"role":"user","content":"why"}]`),
			`[{"role":"assistant","content":"","refusal":"no"},{"role":"user","content":"why"}]`,
		},
		{
			"a file", call(t, `[{"role":"user","content":[{"type":"input_file","file_data":"data:x","filename":"n"}]}]`),
			`[{"role":"user","content":[{"type":"file","file":{"file_data":"data:x","filename":"n"}}]}]`,
		},
		{
			"hosted calls given back", call(t, `[{"role":"user","content":"x"},
			{"type":"mcp_call","id":"mcp_0123456789012345678901234567890123456789","server_label":"windlass","name":"f","arguments":"{}","output":"one"},
			{"type":"mcp_call","server_label":"windlass","name":"g","arguments":"{}","error":{"type":"mcp_tool_execution_error","content":[{"type":"text","text":"bad"}]}}]`),
			`[{"role":"user","content":"x"},
			{"role":"assistant","content":null,"tool_calls":[{"id":"ID","type":"function","function":{"name":"f","arguments":"{}"}}]},
			{"role":"tool","tool_call_id":"ID","content":"one"},
			{"role":"assistant","content":null,"tool_calls":[{"id":"call_hosted_3","type":"function","function":{"name":"g","arguments":"{}"}}]},
			{"role":"tool","tool_call_id":"call_hosted_3","content":"bad"}]`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			body, err := Dialect{}.Encode(tt.call)
			if err != nil {
				t.Fatal(err)
			}
			var got struct{ Messages any }
			var want any
			if err := errors.Join(json.Unmarshal(hashedID.ReplaceAll(body, []byte("ID")), &got), json.Unmarshal([]byte(tt.want), &want)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got.Messages); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatChatCannotCarry(t *testing.T) {
	t.Parallel()
	for _, input := range []string{
		`[{"role":"user","content":[{"type":"input_image","file_id":"f"}]}]`,
		`[{"role":"user","content":[{"type":"input_file","file_url":"https://x.test"}]}]`,
		`[{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}]`,
		`[{"type":"item_reference","id":"msg_1"}]`,
		`[{"type":"computer_call","id":"x"}]`,
	} {
		if _, err := (Dialect{}).Encode(call(t, input)); !errors.Is(err, model.ErrUnsupported) {
			t.Errorf("%s: error %v, want model.ErrUnsupported", input, err)
		}
	}
}
