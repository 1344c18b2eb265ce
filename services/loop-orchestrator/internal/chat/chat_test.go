package chat

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/chain"
)

func TestDecode(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		body string
		want Answer
		err  error
	}{
		{
			"text", `{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4,
			"prompt_tokens_details":{"cached_tokens":1},"completion_tokens_details":{"reasoning_tokens":2}}}`,
			Answer{Text: "hi", Finish: Stopped, Usage: responses.Usage{InputTokens: 3, CachedTokens: 1, OutputTokens: 4, ReasoningTokens: 2}},
			nil,
		},
		{
			"calls", `{"choices":[{"message":{"content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}},
			{"function":{"name":"g"}}]},"finish_reason":"tool_calls"}]}`,
			Answer{Calls: []ToolCall{{"c", "f", "{}"}, {"", "g", ""}}, Finish: Stopped},
			nil,
		},
		{"reasoning", `{"choices":[{"message":{"reasoning_content":"hm","content":""}}]}`, Answer{Reasoning: "hm", Finish: Stopped}, nil},
		{"reasoning by another name", `{"choices":[{"message":{"reasoning":"hm"}}]}`, Answer{Reasoning: "hm", Finish: Stopped}, nil},
		{"refusal", `{"choices":[{"message":{"refusal":"no"}}]}`, Answer{Refusal: "no", Finish: Stopped}, nil},
		{
			"logprobs", `{"choices":[{"message":{"content":"a"},"logprobs":{"content":[1]}}]}`,
			Answer{Text: "a", Logprobs: json.RawMessage(`[1]`), Finish: Stopped},
			nil,
		},
		{"cut", `{"choices":[{"message":{},"finish_reason":"length"}]}`, Answer{Finish: Length}, nil},
		{"filtered", `{"choices":[{"message":{},"finish_reason":"content_filter"}]}`, Answer{Finish: Filtered}, nil},
		{"an unknown end", `{"choices":[{"message":{},"finish_reason":"tired"}]}`, Answer{Finish: Other}, nil},
		{"no end", `{"choices":[{"message":{},"finish_reason":null}]}`, Answer{Finish: Stopped}, nil},
		{"usage below nothing", `{"choices":[{"message":{}}],"usage":{"prompt_tokens":-1}}`, Answer{Finish: Stopped}, nil},
		{"no choices", `{"choices":[]}`, Answer{}, ErrMalformed},
		{"no message", `{"choices":[{"finish_reason":"stop"}]}`, Answer{}, ErrMalformed},
		{"a call without a name", `{"choices":[{"message":{"tool_calls":[{"id":"c"}]}}]}`, Answer{}, ErrMalformed},
		{"no JSON", `<html>`, Answer{}, ErrMalformed},
		{"nothing", ``, Answer{}, ErrMalformed},
		{"another type", `{"choices":"none"}`, Answer{}, ErrMalformed},
		{"tokens beyond numbers", `{"choices":[{"message":{}}],"usage":{"prompt_tokens":1e999}}`, Answer{}, ErrMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Decode([]byte(tt.body))
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func call(tb testing.TB, input string, turns ...chain.Turn) Call {
	tb.Helper()
	r, fault := responses.Decode([]byte(`{"model":"m","input":` + input + `}`))
	if fault != nil {
		tb.Fatalf("decode %s: %s", input, fault.JSON())
	}
	return Call{Model: "up", Request: r, Turns: turns}
}

// continued is a call of a response that continues others, oldest first, whose instructions are not to be seen.
func continued(c Call, earlier ...Call) Call {
	for _, e := range earlier {
		e.Request.Instructions = "forget me"
		c.Ancestors = append(c.Ancestors, chain.Ancestor{Input: e.Request.Input, Turns: e.Turns})
	}
	return c
}

// hashedID is a call id made of a hosted call's own.
var hashedID = regexp.MustCompile(`call_[0-9a-f]{24}`)

func TestHistory(t *testing.T) {
	t.Parallel()
	turn := chain.Turn{Tools: map[string]store.Step{
		"c1": {CallID: "c1", Output: []byte("one")}, "c2": {CallID: "c2", Output: []byte("two\xff")},
	}}
	turn.Items = []item.Item{
		item.Reasoning{ID: "rs", Text: "hm"}.Item(),
		item.Message("msg", "assistant", "completed", item.Part{Type: "output_text", Text: "let me see"}),
		item.Call{ID: "fc1", CallID: "c1", Name: "f", Arguments: `{"a":1}`}.Function(),
		item.Call{ID: "fc2", CallID: "c2", Name: "g", Arguments: `[1]`}.Function(),
	}
	silent := chain.Turn{Tools: map[string]store.Step{"c3": {CallID: "c3", Output: []byte{}}}}
	silent.Items = []item.Item{item.Call{ID: "fc3", CallID: "c3", Name: "h", Arguments: ""}.Function()}
	const wrapped = `"arguments":"{\"_invalid_arguments\":\"[1]\"}"`
	tests := []struct {
		name string
		call Call
		want string
	}{
		{"a text", call(t, `"hi"`), `[{"role":"user","content":"hi"}]`},
		{"no content", call(t, `[{"role":"user","content":[]}]`), `[{"role":"user","content":""}]`},
		{
			"turns", call(t, `"hi"`, turn, silent),
			`[{"role":"user","content":"hi"},{"role":"assistant","content":"let me see","tool_calls":[
			{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},{"id":"c2","type":"function","function":{"name":"g",` + wrapped + `}}]},
			{"role":"tool","tool_call_id":"c1","content":"one"},{"role":"tool","tool_call_id":"c2","content":"two` + "\uFFFD" + `"},
			{"role":"assistant","content":null,"tool_calls":[{"id":"c3","type":"function","function":{"name":"h","arguments":"{\"_invalid_arguments\":\"\"}"}}]},
			{"role":"tool","tool_call_id":"c3","content":""}]`,
		},
		{
			"earlier responses, without their instructions", continued(call(t, `"and now?"`, silent), call(t, `"hi"`, turn), call(t, `[]`)),
			`[{"role":"user","content":"hi"},{"role":"assistant","content":"let me see","tool_calls":[
			{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},{"id":"c2","type":"function","function":{"name":"g",` + wrapped + `}}]},
			{"role":"tool","tool_call_id":"c1","content":"one"},{"role":"tool","tool_call_id":"c2","content":"two` + "\uFFFD" + `"},
			{"role":"user","content":"and now?"},
			{"role":"assistant","content":null,"tool_calls":[{"id":"c3","type":"function","function":{"name":"h","arguments":"{\"_invalid_arguments\":\"\"}"}}]},
			{"role":"tool","tool_call_id":"c3","content":""}]`,
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
			body, err := tt.call.Encode()
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
		if _, err := call(t, input).Encode(); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: error %v, want ErrUnsupported", input, err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "2": 2 * time.Second, "0.5": 500 * time.Millisecond, "-1": 0, "soon": 0, "NaN": 0, "1e300": maxRetryAfter, "999999999": maxRetryAfter,
		"Fri, 02 Jan 2026 03:04:15 GMT": 10 * time.Second, "Fri, 02 Jan 2026 03:04:00 GMT": 0, "Sat, 02 Jan 2027 03:04:05 GMT": maxRetryAfter,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("Retry-After %q is %v, want %v", value, got, want)
		}
	}
}

// upstream answers every call alike.
func upstream(tb testing.TB, status int, header http.Header, body string) registry.Upstream {
	tb.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	tb.Cleanup(s.Close)
	return registry.Upstream{URL: s.URL}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	const secret = "sk-0123456789"
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		status int
		body   string
		want   CallError
	}{
		{"429", 429, `{"error":{"message":"Slow.","code":"quota"}}`, CallError{Code: "rate_limit_exceeded", Message: "Slow.", Retriable: true, RetryAfter: 2 * time.Second}},
		{"500", 500, `oops`, CallError{Code: "server_error", Message: "The upstream answered HTTP 500.", Retriable: true, RetryAfter: 2 * time.Second}},
		{"408", 408, ``, CallError{Code: "timeout", Message: "The upstream answered HTTP 408.", Retriable: true, RetryAfter: 2 * time.Second}},
		{"400", 400, `{"error":{"message":"No.","code":"too_long"}}`, CallError{Code: "too_long", Message: "No.", RetryAfter: 2 * time.Second}},
		{"a numeric code", 404, `{"error":{"message":"No.","code":404}}`, CallError{Code: "invalid_prompt", Message: "No.", RetryAfter: 2 * time.Second}},
		{"a code with a NUL", 400, `{"error":{"message":"No.","code":"a\u0000"}}`, CallError{Code: "invalid_prompt", Message: "No.", RetryAfter: 2 * time.Second}},
		{"a long code", 400, `{"error":{"message":"No.","code":"` + strings.Repeat("x", 65) + `"}}`, CallError{Code: "invalid_prompt", Message: "No.", RetryAfter: 2 * time.Second}},
		{"401", 401, `{"error":{"message":"Bad key ` + secret + `"}}`, CallError{Code: "server_error", Message: "The upstream refused the credential configured for this model.", RetryAfter: 2 * time.Second}},
		{"a quoted credential", 400, `{"error":{"message":"Bad key ` + secret + `."}}`, CallError{Code: "invalid_prompt", Message: "Bad key [redacted].", RetryAfter: 2 * time.Second}},
		{"malformed", 200, `{`, CallError{Code: "server_error", Message: "the upstream's answer is malformed: 1 bytes that are no chat completion", Retriable: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			at := upstream(t, tt.status, http.Header{"Retry-After": {"2"}}, tt.body)
			at.Credential = registry.Credential{File: file}
			_, err := Upstream{Client: &http.Client{}}.Complete(t.Context(), at, []byte(`{}`), Headers{})
			var got *CallError
			if !errors.As(err, &got) {
				t.Fatalf("error %v, want a CallError", err)
			}
			tt.want.HTTPStatus = tt.status
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnEndedContextIsNotTheUpstreamsFault(t *testing.T) {
	t.Parallel()
	cause := errors.New("drained")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	at := upstream(t, 200, nil, `{}`)
	u := Upstream{Client: &http.Client{}}
	if _, err := u.Complete(ctx, at, nil, Headers{}); !errors.Is(err, cause) {
		t.Errorf("error %v, want the context's cause", err)
	}
	late, stop := context.WithTimeoutCause(t.Context(), 0, ErrCallTimeout)
	defer stop()
	var failed *CallError
	if _, err := u.Complete(late, at, nil, Headers{}); !errors.As(err, &failed) || failed.Code != "timeout" || !failed.Retriable {
		t.Errorf("error %v, want a timeout to try again after", err)
	}
}
