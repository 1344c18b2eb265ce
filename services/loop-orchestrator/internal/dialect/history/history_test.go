package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// recorder records what Walk passes to it.
type recorder struct{ lines []string }

func (r *recorder) AddItem(it item.Item) error {
	if it.Type == "item_reference" {
		return Unsupported(it)
	}
	r.lines = append(r.lines, "input "+it.Type)
	return nil
}

func (r *recorder) AddTurn(t Turn) error {
	for _, o := range t.Outputs {
		line := o.Type + " " + o.CallID
		if o.Own != nil {
			line += " own=" + string(o.Own)
		}
		if o.Cut {
			line += " cut"
		}
		if o.Result != nil {
			line += " result=" + *o.Result
		}
		r.lines = append(r.lines, strings.TrimSpace(line))
	}
	r.lines = append(r.lines, fmt.Sprint("same upstream: ", t.SameUpstream))
	return nil
}

func request(t *testing.T, input string) *responses.Create {
	t.Helper()
	r, fault := responses.Decode([]byte(`{"model":"m","input":` + input + `}`))
	if fault != nil {
		t.Fatal(fault)
	}
	return r
}

func TestWalk(t *testing.T) {
	t.Parallel()
	call := func(id, status string) item.Item {
		return item.Call{ID: "fc_" + id, CallID: id, Name: "f", Arguments: "{}", Status: status}.Function()
	}
	turn := transcript.Turn{
		Record: transcript.Record{
			Origin: "here", Own: map[int]json.RawMessage{0: json.RawMessage(`{"a":1}`)},
			Items: []item.Item{call("ran", "incomplete"), call("cut", "incomplete"), call("client's", "completed")},
		},
		Tools: map[string]run.Step{"ran": {CallID: "ran", Output: []byte("5")}},
	}
	c := model.Call{
		Origin: "here", Request: request(t, `"now"`), Turns: []transcript.Turn{turn},
		Ancestors: []transcript.Ancestor{{Input: request(t, `"before"`).Input, Turns: []transcript.Turn{turn}}},
	}
	same := []string{
		"input message", `function_call ran own={"a":1} result=5`, "function_call cut cut", "function_call client's",
		"same upstream: true",
	}
	other := []string{
		"input message", "function_call ran result=5", "function_call cut cut", "function_call client's", "same upstream: false",
	}
	for origin, want := range map[string][]string{"here": same, "there": other, "": other} {
		c.Origin = origin
		var r recorder
		if err := Walk(c, &r); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(append(want[:len(want):len(want)], want...), r.lines); diff != "" {
			t.Errorf("to %q (-want +got):\n%s", origin, diff)
		}
	}
	c.Ancestors[0].Input = request(t, `[{"type":"message","role":"user","content":"x"},{"type":"item_reference","id":"msg_1"}]`).Input
	err := Walk(c, &recorder{})
	if !errors.Is(err, model.ErrUnsupported) || !strings.Contains(err.Error(), `an earlier response: input[1]: an item of type "item_reference"`) {
		t.Errorf("an item that the writer refuses: %v", err)
	}
}

func TestHostedCall(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"type":"mcp_call","id":"mcp_1","name":"f","server_label":"s","arguments":"{\"n\":1}","output":"5"}`: transcript.CallID("mcp_1") + ` f {"n":1} 5`,
		`{"type":"mcp_call","name":"f","server_label":"s","arguments":"","error":"broken"}`:                   `call_hosted_7 f {} broken`,
	} {
		it, fault := item.Parse([]byte(text))
		if fault != nil {
			t.Fatal(fault)
		}
		call, output := HostedCall(it, 7)
		if got := strings.Join([]string{call.ID, call.Name, call.Arguments, output}, " "); got != want {
			t.Errorf("%s is sent as %s, want %s", text, got, want)
		}
	}
}
