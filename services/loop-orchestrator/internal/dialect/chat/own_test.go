package chat

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// recordTurn records an answer as a turn, with call ids of Windlass. Tools
// whose name starts with s have answered "42".
func recordTurn(origin string, turn int, a model.Answer) transcript.Turn {
	t := transcript.Turn{Tools: map[string]run.Step{}}
	t.Origin, t.Own = origin, map[int]json.RawMessage{}
	for n, o := range a.Outputs {
		t.Own[n] = o.Own
		switch o.Kind {
		case model.Reasoning:
			t.Items = append(t.Items, o.Reasoning.Item())
		case model.Function:
			id := fmt.Sprintf("call_%d_%d", turn, n)
			t.Items = append(t.Items, item.Call{CallID: id, Name: o.Call.Name, Arguments: o.Call.Arguments, Status: "completed"}.Function())
			if strings.HasPrefix(o.Call.Name, "s") {
				t.Tools[id] = run.Step{CallID: id, Output: []byte("42")}
			}
		default:
			t.Items = append(t.Items, item.Message("msg", "assistant", "completed", o.Parts...))
		}
	}
	return t
}

// sentMessages returns the messages of an encoded call.
func sentMessages(tb testing.TB, c model.Call) (all []any) {
	tb.Helper()
	body, err := Dialect{}.Encode(c)
	if err != nil {
		tb.Fatal(err)
	}
	var out struct{ Messages []any }
	if err := json.Unmarshal(body, &out); err != nil {
		tb.Fatalf("%v\n%s", err, body)
	}
	return out.Messages
}

func parseJSON(tb testing.TB, text string) (v any) {
	tb.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		tb.Fatalf("%v\n%s", err, text)
	}
	return v
}

// What an upstream attached to an answer is sent back unchanged, to that
// upstream only.
func TestWhatIsAttachedGoesBack(t *testing.T) {
	t.Parallel()
	const call = `{"id":"functions.sum:0","type":"function","function":{"name":"sum","arguments":"{}"}}`
	const plain = `{"role":"assistant","content":null,"tool_calls":[{"id":"call_1_0","type":"function","function":{"name":"sum","arguments":"{}"}}]}`
	thought := strings.Replace(plain, "call_1_0", "call_1_1", 1)
	for name, tt := range map[string]struct {
		message string   // as it came whole
		deltas  []string // the same in pieces
		back    string   // as it goes back; empty: as message
		others  string   // as another upstream gets it
	}{
		"the id": {
			`{"role":"assistant","content":null,"tool_calls":[` + call + `]}`,
			[]string{`"tool_calls":[{"index":0,"id":"functions.sum:0","function":{"name":"sum","arguments":""}}]`, `"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]`},
			"", plain,
		},
		"a long id": {
			`{"role":"assistant","content":null,"tool_calls":[{"id":"` + strings.Repeat("é ", 200) + `","type":"function","function":{"name":"sum","arguments":"{}"}}]}`,
			[]string{`"tool_calls":[{"index":0,"id":"` + strings.Repeat("é ", 200) + `","function":{"name":"sum","arguments":"{}"}}]`},
			"", plain,
		},
		"reasoning_content": {
			`{"role":"assistant","content":null,"reasoning_content":"I need it","tool_calls":[` + call + `]}`,
			[]string{`"reasoning_content":"I need "`, `"reasoning_content":"it"`, `"tool_calls":[{"index":0,"id":"functions.sum:0","function":{"name":"sum","arguments":"{}"}}]`},
			"", thought,
		},
		"reasoning": {
			`{"role":"assistant","content":null,"reasoning":"<I> need it","tool_calls":[` + call + `]}`,
			[]string{`"reasoning":"<I> need "`, `"reasoning":"it"`, `"tool_calls":[{"index":0,"id":"functions.sum:0","function":{"name":"sum","arguments":"{}"}}]`},
			"", thought,
		},
		"both": {
			`{"role":"assistant","content":null,"reasoning":"r","reasoning_content":"r","tool_calls":[` + call + `]}`,
			[]string{`"reasoning":"r","reasoning_content":"r"`, `"tool_calls":[{"index":0,"id":"functions.sum:0","function":{"name":"sum","arguments":"{}"}}]`},
			"", thought,
		},
		"both, and they differ": {
			`{"role":"assistant","content":null,"reasoning":"short","reasoning_content":"long","tool_calls":[` + call + `]}`,
			[]string{`"reasoning":"sh","reasoning_content":"lo"`, `"reasoning":"ort","reasoning_content":"ng"`, `"tool_calls":[{"index":0,"id":"functions.sum:0","function":{"name":"sum","arguments":"{}"}}]`},
			"", thought,
		},
		"empty reasoning": {
			`{"role":"assistant","content":null,"reasoning_content":"","tool_calls":[` + call + `]}`,
			[]string{`"reasoning_content":""`, `"reasoning_content":"","tool_calls":[{"index":0,"id":"functions.sum:0","function":{"name":"sum","arguments":"{}"}}]`},
			"", plain,
		},
		"reasoning of a text": {
			`{"role":"assistant","content":"a","reasoning_content":"r"}`, []string{`"reasoning_content":"r"`, `"content":"a"`}, "", `{"role":"assistant","content":"a"}`,
		},
		"reasoning as an object": {
			`{"role":"assistant","content":"a","reasoning":{"content":"r","signature":"s"}}`,
			[]string{`"reasoning":{"content":"r"}`, `"reasoning":{"signature":"s"}`, `"content":"a"`},
			"", `{"role":"assistant","content":"a"}`,
		},
		"Gemini's signature": {
			`{"role":"assistant","content":null,"tool_calls":[{"id":"","type":"function","extra_content":{"google":{"thought_signature":"c2ln<>&"}},"function":{"name":"sum","arguments":"{}","thought_signature":"abc"}}]}`,
			[]string{`"tool_calls":[{"index":0,"id":"","extra_content":{"google":{"thought_signature":"c2ln<>&"}},"function":{"name":"sum","arguments":"{}","thought_signature":"abc"}}]`},
			`{"role":"assistant","content":null,"tool_calls":[{"id":"call_1_0","type":"function","extra_content":{"google":{"thought_signature":"c2ln<>&"}},"function":{"name":"sum","arguments":"{}","thought_signature":"abc"}}]}`,
			plain,
		},
		"members of a message": {
			`{"role":"assistant","content":"a","reasoning_details":[{"type":"reasoning.text","text":"think","signature":"s","index":0},{"type":"reasoning.encrypted","data":"xyz","index":1}],
				"annotations":[{"type":"url_citation"}],"provider_specific_fields":{"n":1.50,"nul":"a\u0000"}}`,
			[]string{
				`"reasoning_details":[{"type":"reasoning.text","text":"thi","index":0}]`, `"reasoning_details":[{"type":"reasoning.text","text":"nk","signature":null,"index":0}]`,
				`"reasoning_details":[{"type":"reasoning.text","signature":"s","index":0}]`, `"reasoning_details":[{"type":"reasoning.encrypted","data":"xyz","index":1}]`,
				`"annotations":[{"type":"url_citation"}],"content":"a"`, `"provider_specific_fields":{"n":1.50}`, `"provider_specific_fields":{"nul":"a\u0000"}`,
			},
			"", `{"role":"assistant","content":"a"}`,
		},
		"members that say nothing": {
			`{"role":"assistant","content":"a","refusal":null,"annotations":[],"audio":null,"function_call":null,"x":{},"y":""}`,
			[]string{`"content":"a","refusal":null,"annotations":[],"audio":null,"x":{},"y":""`},
			`{"role":"assistant","content":"a"}`, `{"role":"assistant","content":"a"}`,
		},
		"Mistral's content": {
			`{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"hm so"}]},{"type":"text","text":"a b"},{"type":"reference","reference_ids":[1]}]}`,
			[]string{
				`"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]`, `"content":[{"type":"thinking","thinking":[{"type":"text","text":" so"}]}]`,
				`"content":"a"`, `"content":" b"`, `"content":[{"type":"reference","reference_ids":[1]}]`,
			},
			"", `{"role":"assistant","content":"a b"}`,
		},
		"content in a list of texts": {
			`{"role":"assistant","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}`,
			[]string{`"content":[{"type":"text","text":"a"}]`, `"content":[{"type":"text","text":"b"}]`},
			`{"role":"assistant","content":"ab"}`, `{"role":"assistant","content":"ab"}`,
		},
		"an equal id of two calls": {
			`{"role":"assistant","content":null,"tool_calls":[` + call + `,` + call + `]}`,
			[]string{`"tool_calls":[{"index":0,"id":"functions.sum:0","function":{"name":"sum","arguments":"{}"}},{"index":1,"id":"functions.sum:0","function":{"name":"sum","arguments":"{}"}}]`},
			`{"role":"assistant","content":null,"tool_calls":[` + call + `,` + strings.Replace(call, "functions.sum:0", "call_1_1", 1) + `]}`,
			`{"role":"assistant","content":null,"tool_calls":[` + strings.Replace(call, "functions.sum:0", "call_1_0", 1) + `,` + strings.Replace(call, "functions.sum:0", "call_1_1", 1) + `]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole, err := Dialect{}.Decode([]byte(`{"choices":[{"message":` + tt.message + `,"finish_reason":"stop"}]}`))
			if err != nil {
				t.Fatal(err)
			}
			var chunks []string
			for _, d := range tt.deltas {
				chunks = append(chunks, chunk(d))
			}
			streamed, err := readStream(t, append(chunks, endChunk("stop"))...)
			if err != nil {
				t.Fatal(err)
			}
			back := tt.back
			if back == "" {
				back = tt.message
			}
			for how, a := range map[string]model.Answer{"whole": whole, "streamed": streamed} {
				for to, want := range map[string]string{"a": back, "b": tt.others, "": tt.others} {
					c := nextCall(t, recordTurn("a", 1, a), to)
					if diff := cmp.Diff(parseJSON(t, want), sentMessages(t, c)[1]); diff != "" {
						t.Errorf("%s, sent to %q (-want +got):\n%s", how, to, diff)
					}
				}
				old := recordTurn("", 1, a) // as a version before wrote it
				if diff := cmp.Diff(parseJSON(t, tt.others), sentMessages(t, nextCall(t, old, ""))[1]); diff != "" {
					t.Errorf("%s, of an old record (-want +got):\n%s", how, diff)
				}
			}
		})
	}
}

// nextCall returns a call that follows a turn.
func nextCall(tb testing.TB, turn transcript.Turn, origin string) model.Call {
	tb.Helper()
	c := call(tb, `"hi"`, turn)
	c.Origin = origin
	return c
}

// Call ids are paired turn by turn, for tools of Windlass and for functions
// that the client answers, in the same response or in the next one.
func TestIDsGoBackInPairs(t *testing.T) {
	t.Parallel()
	said := func(name string) model.Answer {
		a, err := Dialect{}.Decode([]byte(`{"choices":[{"message":{"tool_calls":[{"id":"f:0","function":{"name":"` + name + `","arguments":"{}"}},{"id":"f:1","function":{"name":"look"}}]}}]}`))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	c := call(t, `[{"type":"function_call_output","call_id":"call_2_1","output":"here"},{"type":"function_call_output","call_id":"call_2_0","output":""},{"type":"function_call_output","call_id":"call_1_1","output":"there"}],"previous_response_id":"resp_1"`)
	c.Origin = "a"
	c.Ancestors = []transcript.Ancestor{{Turns: []transcript.Turn{recordTurn("a", 1, said("sum")), recordTurn("a", 2, said("find"))}}}
	calls := func(name string) string {
		return `{"role":"assistant","content":null,"tool_calls":[{"id":"f:0","type":"function","function":{"name":"` + name + `","arguments":"{}"}},{"id":"f:1","type":"function","function":{"name":"look","arguments":"{}"}}]}`
	}
	result := func(id, text string) string {
		return `{"role":"tool","tool_call_id":"` + id + `","content":"` + text + `"}`
	}
	want := `[` + strings.Join([]string{
		calls("sum"), result("f:0", "42"), result("f:1", "there"), calls("find"), result("f:1", "here"), result("f:0", noOutput),
	}, ",") + `]`
	if diff := cmp.Diff(parseJSON(t, want), any(sentMessages(t, c))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A setting names the member for reasoning of other upstreams.
func TestReasoningOfOthers(t *testing.T) {
	t.Parallel()
	const input = `[{"role":"user","content":"hi"},{"type":"reasoning","id":"rs_1","summary":[],"content":[{"type":"reasoning_text","text":"hm"}]},
		{"type":"function_call","call_id":"c","name":"f","arguments":""},{"type":"function_call_output","call_id":"c","output":"1"},
		{"type":"reasoning","id":"rs_2","summary":[{"type":"summary_text","text":"short"}]},{"role":"assistant","content":"a"},
		{"type":"reasoning","id":"rs_3","summary":[],"encrypted_content":"x"},{"role":"user","content":"b"}]`
	const messages = `[{"role":"user","content":"hi"},{"role":"assistant",MEMBER"content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},
		{"role":"tool","tool_call_id":"c","content":"1"},{"role":"assistant",OTHER"content":"a"},{"role":"user","content":"b"}]`
	for field, want := range map[string][2]string{
		"": {}, registry.ReasoningNone: {}, registry.ReasoningContent: {`"reasoning_content":"hm",`, `"reasoning_content":"short",`}, registry.Reasoning: {`"reasoning":"hm",`, `"reasoning":"short",`},
	} {
		c := call(t, input)
		c.Settings.ReasoningField = field
		text := strings.Replace(strings.Replace(messages, "MEMBER", want[0], 1), "OTHER", want[1], 1)
		if diff := cmp.Diff(parseJSON(t, text), any(sentMessages(t, c))); diff != "" {
			t.Errorf("%q (-want +got):\n%s", field, diff)
		}
	}
	a, err := Dialect{}.Decode([]byte(`{"choices":[{"message":{"content":"a","reasoning":"r"}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	c := nextCall(t, recordTurn("a", 1, a), "b")
	c.Settings.ReasoningField = registry.ReasoningContent
	if diff := cmp.Diff(parseJSON(t, `{"role":"assistant","content":"a","reasoning_content":"r"}`), sentMessages(t, c)[1]); diff != "" {
		t.Errorf("of another upstream (-want +got):\n%s", diff)
	}
}
