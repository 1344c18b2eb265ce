package responsesapi

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// TestHistoryOfItsOwn holds that what an upstream attached to a turn, its call
// ids and its plain reasoning are sent back to that upstream only.
func TestHistoryOfItsOwn(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 200)
	turn := transcript.Turn{
		Tools: map[string]run.Step{"c1": {CallID: "c1", Output: []byte("one")}},
		Record: transcript.Record{
			Origin: "here",
			Items: []item.Item{
				item.Reasoning{ID: "rs_1", Text: "hm"}.Item(),
				item.Reasoning{ID: "rs_2", Summary: []string{"s"}, Encrypted: "sealed"}.Item(),
				item.Message("msg_1", "assistant", "completed", item.Part{Type: "output_text", Text: "let me see"}),
				item.Call{ID: "fc_1", Status: "completed", CallID: "c1", Name: "f", Arguments: `{}`}.Function(),
				item.Call{ID: "fc_2", Status: "completed", CallID: "c2", Name: "mine", Arguments: `{}`}.Function(),
			},
			Own: map[int]json.RawMessage{
				0: json.RawMessage(`{"type":"reasoning","id":"rs_u","summary":[],"content":[{"type":"reasoning_text","text":"hm","x":1}],"format":"f","status":null}`),
				1: json.RawMessage(`{"signature":"a"}`), 2: json.RawMessage(`{"annotated":true,"role":"no"}`),
				3: json.RawMessage(`{"call_id":"` + long + `","signature":"b"}`), 4: json.RawMessage(`{"call_id":"u2"}`),
			},
		},
	}
	const hi = `{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]},`
	const sealed = `{"type":"reasoning","summary":[{"type":"summary_text","text":"s"}],"encrypted_content":"sealed"`
	const text = `{"type":"message","role":"assistant","content":[{"type":"output_text","text":"let me see","annotations":[],"logprobs":[]}]`
	const open = `{"type":"reasoning","id":"rs_u","summary":[],"content":[{"type":"reasoning_text","text":"hm","x":1}],"format":"f","status":null},`
	own := open + sealed + `,"signature":"a"},` + text + `,"annotated":true},
		{"type":"function_call","call_id":"` + long + `","name":"f","arguments":"{}","signature":"b"},{"type":"function_call","call_id":"u2","name":"mine","arguments":"{}"},
		{"type":"function_call_output","call_id":"` + long + `","output":"one"}`
	const foreign = sealed + `},` + text + `},
		{"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},{"type":"function_call","call_id":"c2","name":"mine","arguments":"{}"},
		{"type":"function_call_output","call_id":"c1","output":"one"}`
	output := func(id string) string { return `{"type":"function_call_output","call_id":"` + id + `","output":"two"}` }
	later := call(t, `"input":[{"type":"function_call_output","call_id":"c2","output":"two"}],"previous_response_id":"resp_1"`)
	later.Ancestors = []transcript.Ancestor{{Input: call(t, "").Request.Input, Turns: []transcript.Turn{turn}}}
	summed := turn
	summed.Own = map[int]json.RawMessage{0: json.RawMessage(`{"type":"reasoning","id":"rs_u","summary":[{"type":"summary_text","text":"s"}]}`)}
	summed.Items = turn.Items[:1:1]
	summed.Items = append(summed.Items, turn.Items[2])
	from := func(c model.Call, origin string, noSeal bool) model.Call {
		c.Origin, c.NoSeal = origin, noSeal
		return c
	}
	again := turn
	again.Items, again.Own = turn.Items[3:], map[int]json.RawMessage{0: json.RawMessage(`{"call_id":"same"}`), 1: json.RawMessage(`{"call_id":"same"}`)}
	const same = `{"type":"function_call","call_id":"same","name":"f","arguments":"{}"},{"type":"function_call","call_id":"c2","name":"mine","arguments":"{}"},
		{"type":"function_call_output","call_id":"same","output":"one"}`
	for _, tt := range []struct {
		name string
		call model.Call
		want string
	}{
		{"one id in two turns, and twice in one", from(call(t, "", again, again), "here", false), hi + same + "," + same},
		{"within a run", from(call(t, "", turn), "here", false), hi + own},
		{"of an upstream that is not asked to seal", from(call(t, "", turn), "here", true), hi + own},
		{"in a continued response, with the client's output", from(later, "here", false), hi + own + "," + output("u2")},
		{"at another upstream", from(later, "there", false), hi + foreign + "," + output("c2")},
		{"at an unknown upstream", from(call(t, "", turn), "", false), hi + foreign},
		{"a summary alone", from(call(t, "", summed), "here", false), hi + `{"type":"reasoning","id":"rs_u","summary":[{"type":"summary_text","text":"s"}]},` + text + `}`},
		{"a summary of OpenAI's", from(call(t, "", summed), "here", true), hi + text + `}`},
	} {
		body, err := Dialect{}.Encode(tt.call)
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ Input []any }
		var want []any
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte("["+tt.want+"]"), &want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Input); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
