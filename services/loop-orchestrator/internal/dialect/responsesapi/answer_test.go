package responsesapi

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

func newAnswer(f model.Finish, outputs ...model.Output) model.Answer {
	return model.Answer{Finish: f, Outputs: outputs}
}

func messageOutput(parts ...item.Part) model.Output {
	return model.Output{Kind: model.Message, Parts: parts}
}

func textOutput(text string) model.Output {
	return messageOutput(item.Part{Type: "output_text", Text: text})
}

func reasoningOutput(r item.Reasoning) model.Output {
	return model.Output{Kind: model.Reasoning, Reasoning: r}
}

func callOutput(id, name, arguments string) model.Output {
	return withCallOwn(model.Output{Kind: model.Function, Call: model.ToolCall{ID: id, Name: name, Arguments: arguments}})
}

// withCallOwn adds the call id that is sent back to the upstream.
func withCallOwn(o model.Output) model.Output {
	o.Own = json.RawMessage(`{"call_id":"` + o.Call.ID + `"}`)
	return o
}

// messageItem returns a message item.
func messageItem(parts string) string {
	return `{"type":"message","id":"msg_u","status":"completed","role":"assistant","content":[` + parts + `]}`
}

func completedResponse(items string) string {
	return `{"status":"completed","error":null,"output":[` + items + `]}`
}

func TestDecode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		body string
		want model.Answer
		err  error
	}{
		{"text", completedResponse(messageItem(`{"type":"output_text","text":"hi"}`)), newAnswer(model.Stopped, textOutput("hi")), nil},
		{
			"usage", `{"status":"completed","output":[],"usage":{"input_tokens":3,"input_tokens_details":{"cached_tokens":1,"cache_write_tokens":2},
			"output_tokens":4,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":7}}`,
			model.Answer{Finish: model.Stopped, Usage: responses.Usage{InputTokens: 3, CachedTokens: 1, CacheWriteTokens: 2, OutputTokens: 4, ReasoningTokens: 2}},
			nil,
		},
		{"usage below nothing", `{"status":"completed","output":[],"usage":{"input_tokens":-3}}`, newAnswer(model.Stopped), nil},
		{"no usage", `{"status":"completed","output":[],"usage":null,"incomplete_details":null}`, newAnswer(model.Stopped), nil},
		{
			"everything, in its order", completedResponse(`{"type":"reasoning","id":"rs_u","summary":[{"type":"summary_text","text":"s1"},{"type":"summary_text","text":"s2"}],
			"content":[{"type":"reasoning_text","text":"a"},{"type":"reasoning_text","text":"b"}],"encrypted_content":"sealed"},
			{"type":"function_call","id":"fc_u","call_id":"c1","name":"f","arguments":"{}","status":"completed"},` +
				messageItem(`{"type":"refusal","refusal":"no"},{"type":"output_text","text":"hi","annotations":[{"type":"url_citation","url":"u"}],"logprobs":[{"token":"hi","logprob":-1}]}`) +
				`,{"type":"function_call","id":"fc_v","call_id":"c2","name":"g","arguments":"","status":"completed"}`),
			newAnswer(model.Stopped, reasoningOutput(item.Reasoning{Summary: []string{"s1", "s2"}, Text: "ab", Encrypted: "sealed"}), callOutput("c1", "f", "{}"),
				messageOutput(item.Part{Type: "refusal", Text: "no"}, item.Part{
					Type: "output_text", Text: "hi",
					Annotations: json.RawMessage(`[{"type":"url_citation","url":"u"}]`), Logprobs: json.RawMessage(`[{"token":"hi","logprob":-1,"bytes":[104,105],"top_logprobs":[]}]`),
				}), callOutput("c2", "g", "")), nil,
		},
		{
			"notes and logprobs that make no sense", completedResponse(messageItem(`{"type":"output_text","text":"a","annotations":[7],"logprobs":[{"token":"a"}]},
			{"type":"output_text","text":"b","annotations":[{"type":"x","deep":` + strings.Repeat("[", 300) + strings.Repeat("]", 300) + `}]},
			{"type":"output_text","text":"c","annotations":[{"type":"` + "\xff" + `"}]}`)),
			newAnswer(model.Stopped, messageOutput(item.Part{Type: "output_text", Text: "a"}, item.Part{Type: "output_text", Text: "b"},
				item.Part{Type: "output_text", Text: "c", Annotations: json.RawMessage("[{\"type\":\"\uFFFD\"}]")})), nil,
		},
		{
			"reasoning without content", completedResponse(`{"type":"reasoning","id":"rs_u","summary":[],"content":null,"encrypted_content":null}`),
			newAnswer(model.Stopped, reasoningOutput(item.Reasoning{})), nil,
		},
		{
			"what the upstream did by itself", completedResponse(`{"type":"mcp_list_tools","id":"m","server_label":"s","tools":[]},{"type":"web_search_call","id":"w","status":"completed"},` +
				messageItem(`{"type":"output_text","text":"hi"}`)), newAnswer(model.Stopped, textOutput("hi")), nil,
		},
		{
			"a custom tool's call", completedResponse(`{"type":"custom_tool_call","id":"ctc_u","call_id":"c1","name":"patch","input":"*** any"}`),
			newAnswer(model.Stopped, withCallOwn(model.Output{Kind: model.Custom, Call: model.ToolCall{ID: "c1", Name: "patch", Arguments: "*** any"}})), nil,
		},
		{
			"what messages are for", completedResponse(`{"type":"message","role":"assistant","phase":"commentary","content":[{"type":"output_text","text":"hm"}]},
			{"type":"message","role":"assistant","phase":"whatever","content":[]}`),
			newAnswer(model.Stopped, model.Output{Kind: model.Message, Phase: "commentary", Parts: []item.Part{{Type: "output_text", Text: "hm"}}}, messageOutput()), nil,
		},
		{
			"a call in a namespace", completedResponse(`{"type":"function_call","call_id":"c1","namespace":"crm","name":"f","arguments":"{}"}`),
			newAnswer(model.Stopped, withCallOwn(model.Output{Kind: model.Function, Call: model.ToolCall{ID: "c1", Space: "crm", Name: "f", Arguments: "{}"}})), nil,
		},
		{"cut", `{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[]}`, newAnswer(model.Length), nil},
		{"filtered", `{"status":"incomplete","incomplete_details":{"reason":"content_filter"},"output":[]}`, newAnswer(model.Filtered), nil},
		{"an unknown end", `{"status":"incomplete","incomplete_details":{"reason":"tired"},"output":[]}`, newAnswer(model.Other), nil},
		{"an end without a reason", `{"status":"incomplete","incomplete_details":null,"output":[]}`, newAnswer(model.Other), nil},

		{"a status of another server", `{"status":"succeeded","output":[` + messageItem(`{"type":"output_text","text":"hi"}`) + `]}`, newAnswer(model.Stopped, textOutput("hi")), nil},
		{"no status and an answer", `{"output":[` + messageItem(`{"type":"output_text","text":"hi"}`) + `]}`, newAnswer(model.Stopped, textOutput("hi")), nil},
		{"one item in place of a list", `{"status":"completed","output":` + messageItem(`{"type":"output_text","text":"hi"}`) + `}`, newAnswer(model.Stopped, textOutput("hi")), nil},
		{"unknown parts", completedResponse(messageItem(`{"type":"hologram"},7,{"type":"output_text","text":"hi"}`)), newAnswer(model.Stopped, textOutput("hi")), nil},
		{"a part of the wrong side", completedResponse(messageItem(`{"type":"input_text","text":"hi"}`)), newAnswer(model.Stopped, textOutput("hi")), nil},
		{"content that is a text", completedResponse(`{"type":"message","role":"assistant","content":"hi"}`), newAnswer(model.Stopped, textOutput("hi")), nil},
		{"a message without a type", completedResponse(`{"role":"assistant","content":[{"text":"hi"}],"id":7}`), newAnswer(model.Stopped, textOutput("hi")), nil},
		{"content that is null", completedResponse(`{"type":"message","role":"assistant","content":null}`), newAnswer(model.Stopped, messageOutput()), nil},
		{"a refusal under another name", completedResponse(messageItem(`{"type":"refusal","text":"no"}`)), newAnswer(model.Stopped, messageOutput(item.Part{Type: "refusal", Text: "no"})), nil},
		{"usage of other types", `{"status":"completed","output":[],"usage":{"input_tokens":5.0,"output_tokens":"3","input_tokens_details":[],"total_tokens":null}}`, model.Answer{Finish: model.Stopped, Usage: responses.Usage{InputTokens: 5, OutputTokens: 3}}, nil},
		{"usage that is a string", `{"status":"completed","output":[],"usage":"oops"}`, newAnswer(model.Stopped), nil},
		{"usage beyond numbers", `{"status":"completed","output":[],"usage":{"input_tokens":1e999}}`, newAnswer(model.Stopped), nil},
		{"arguments that are an object", completedResponse(`{"type":"function_call","call_id":"c1","name":"f","arguments":{"a": 1}}`), newAnswer(model.Stopped, callOutput("c1", "f", `{"a":1}`)), nil},
		{"arguments that are null", completedResponse(`{"type":"function_call","call_id":"c1","name":"f","arguments":null}`), newAnswer(model.Stopped, callOutput("c1", "f", "")), nil},
		{"no arguments", completedResponse(`{"type":"function_call","call_id":"c1","name":"f"}`), newAnswer(model.Stopped, callOutput("c1", "f", "")), nil},
		{"a call as chat completions has it", completedResponse(`{"type":"function_call","id":"c1","function":{"name":"f","arguments":"{}"}}`), newAnswer(model.Stopped, callOutput("c1", "f", "{}")), nil},
		{"what a server attached to a call", completedResponse(`{"type":"function_call","id":"fc","call_id":"c1","name":"f","arguments":"{}","status":"completed","signature":"s","odd":null}`), newAnswer(model.Stopped, model.Output{
			Kind: model.Function, Call: model.ToolCall{ID: "c1", Name: "f", Arguments: "{}"}, Own: json.RawMessage(`{"call_id":"c1","signature":"s"}`),
		}), nil},
		{"open reasoning", completedResponse(`{"type":"reasoning","id":"rs_1","content":[{"type":"reasoning_text","text":"hm"}],"format":"x"}`), newAnswer(model.Stopped,
			plainReasoning(`{"content":[{"type":"reasoning_text","text":"hm"}],"format":"x","id":"rs_1","type":"reasoning"}`, item.Reasoning{Text: "hm"})), nil},
		{"open reasoning that is a text", completedResponse(`{"type":"reasoning","summary":"hm"}`), newAnswer(model.Stopped, plainReasoning(`{"summary":"hm","type":"reasoning"}`, item.Reasoning{Summary: []string{"hm"}})), nil},

		{"still running", `{"status":"in_progress","output":[]}`, model.Answer{}, model.ErrMalformed},
		{"no status", `{"output":[]}`, model.Answer{}, model.ErrMalformed},
		{"a chat completion", `{"choices":[{"message":{"content":"hi"}}]}`, model.Answer{}, model.ErrMalformed},
		{"a call without a name", completedResponse(`{"type":"function_call","call_id":"c","name":"","arguments":""}`), model.Answer{}, model.ErrMalformed},
		{"a custom call without a name", completedResponse(`{"type":"custom_tool_call","call_id":"c","input":""}`), model.Answer{}, model.ErrMalformed},
		{"a call without a name", completedResponse(`{"type":"function_call"}`), model.Answer{}, model.ErrMalformed},
		{"a call that wants an answer", completedResponse(`{"type":"computer_call","id":"x"}`), model.Answer{}, model.ErrMalformed},
		{"no JSON", `<html>`, model.Answer{}, model.ErrMalformed},
		{"nothing", ``, model.Answer{}, model.ErrMalformed},
		{"another type", `{"output":"none"}`, model.Answer{}, model.ErrMalformed},
	} {
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

func TestFailures(t *testing.T) {
	t.Parallel()
	const unsaid = "The upstream reported that its response failed."
	for _, tt := range []struct {
		name, failure, code, message string
		retriable                    bool
	}{
		{"its own fault", `{"code":"server_error","message":"oops"}`, "server_error", "oops", true},
		{"a family of faults", `{"code":"model_overloaded","message":"oops"}`, "model_overloaded", "oops", true},
		{"too many", `{"code":"rate_limit_exceeded","message":"slow"}`, "rate_limit_exceeded", "slow", true},
		{"the request's fault", `{"code":"invalid_prompt","message":"bad"}`, "invalid_prompt", "bad", false},
		{"another code", `{"code":"bio_policy","message":"no"}`, "bio_policy", "no", false},
		{"a type only", `{"type":"invalid_request_error","code":null,"message":"bad"}`, "invalid_prompt", "bad", false},
		{"a type of limits", `{"type":"too_many_requests","message":"slow"}`, "rate_limit_exceeded", "slow", true},
		{"a number", `{"code":500,"message":"oops"}`, "server_error", "The upstream reported error 500: oops", true},
		{"nothing", `null`, "server_error", unsaid, true},
		{"a text", `"oops"`, "server_error", "oops", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := &run.Failure{Code: tt.code, Message: tt.message, Retriable: tt.retriable}
			check := func(how string, err error) {
				var got *run.Failure
				if !errors.As(err, &got) {
					t.Fatalf("%s: error %v, want a *run.Failure", how, err)
				}
				if (got.Own != nil) == got.Retriable && got.HTTPStatus != 429 || got.HTTPStatus < 400 {
					t.Errorf("%s: HTTP %d in its own words: %s", how, got.HTTPStatus, got.Own)
				}
				got.Own, got.HTTPStatus = nil, 0
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", how, diff)
				}
			}
			response := `{"status":"failed","error":` + tt.failure + `,"output":[]}`
			_, err := Dialect{}.Decode([]byte(response))
			check("whole", err)
			silent := Dialect{}.Stream(func(model.Delta) {})
			check("streamed", silent.Event([]byte(`{"type":"response.failed","response":`+response+`}`)))
			if tt.failure != "null" { // a bare event of that kind is written flat, below
				check("in the middle", silent.Event([]byte(`{"type":"error","error":`+tt.failure+`}`)))
			}
		})
	}
	var got *run.Failure
	err := Dialect{}.Stream(nil).Event([]byte(`{"type":"error","code":"invalid_image","message":"No.","param":null,"sequence_number":3}`))
	if !errors.As(err, &got) || got.Code != "invalid_image" || got.Message != "No." || got.Retriable {
		t.Errorf("a flat error is read as %+v (%v)", got, err)
	}
}
