package answer

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/spectest"
	"windlass.dev/windlass/services/internal/transcript"
)

// recordOf returns a request of two turns: three calls, of which one failed and
// one is of the client's own tool, and the last step.
func recordOf(tb testing.TB, outcome run.Status, reason string, last run.Step) run.Chain {
	tb.Helper()
	record, err := transcript.Record{
		Usage: responses.Usage{InputTokens: 3, OutputTokens: 4},
		Items: []item.Item{
			item.Call{ID: "fc_1", CallID: "a", Name: "add", Arguments: `{"n":1}`, Status: "completed"}.Function(),
			item.Call{ID: "fc_2", CallID: "b", Name: "add", Arguments: `{`, Status: "completed"}.Function(),
			item.Call{ID: "fc_3", CallID: "c", Name: "ask", Arguments: `{}`, Status: "completed"}.Function(),
		},
	}.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	why := run.Failure{Code: "invalid_arguments", Message: "no JSON"}
	c := run.Chain{Body: []byte(`{"model":"m","input":"hi","metadata":{"k":"v"}}`), Steps: []run.Step{
		{Turn: 1, Kind: "model", State: run.StepDone, Output: record},
		{Turn: 1, Index: 1, Kind: "tool", CallID: "a", State: run.StepDone, Output: []byte("2\x00"), Error: why.Encode()},
		{Turn: 1, Index: 2, Kind: "tool", CallID: "b", State: run.StepFailed, Output: why.ForModel(), Error: why.Encode()},
		last,
	}}
	c.ID, c.Endpoint = uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057"), run.Responses
	c.Outcome, c.Reason = outcome, reason
	c.CreatedAt = time.Unix(1_700_000_000, 0)
	return c
}

func lastAnswer(tb testing.TB) run.Step {
	tb.Helper()
	b, err := transcript.Record{Items: []item.Item{item.Message("msg_1", "assistant", "completed", item.Part{Type: "output_text", Text: "done"})}}.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	return run.Step{Turn: 2, Kind: "model", State: run.StepDone, Output: b}
}

func failed(f run.Failure) run.Step {
	return run.Step{Turn: 2, Kind: "model", State: run.StepFailed, Error: f.Encode()}
}

func TestAssemble(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_009, 0)
	tests := []struct {
		name string
		c    run.Chain
		want string
		says []string // types of the output items
	}{
		{
			"completed", recordOf(t, run.Completed, "", lastAnswer(t)),
			`{"status":"completed","completed_at":1700000009,"error":null,"incomplete_details":null}`,
			[]string{"mcp_call", "mcp_call", "function_call", "message"},
		},
		{
			"incomplete", recordOf(t, run.Incomplete, "max_turns", lastAnswer(t)),
			`{"status":"incomplete","completed_at":null,"error":null,"incomplete_details":{"reason":"max_turns"}}`,
			[]string{"mcp_call", "mcp_call", "function_call", "message"},
		},
		{
			"failed", recordOf(t, run.Failed, "too_long", failed(run.Failure{Code: "too_long", Message: "No."})),
			`{"status":"failed","completed_at":null,"error":{"code":"too_long","message":"No."},"incomplete_details":null}`,
			[]string{"mcp_call", "mcp_call", "function_call"},
		},
		{
			"failed without a cause", recordOf(t, run.Failed, "poison", run.Step{Turn: 2, State: run.StepDispatched}),
			`{"status":"failed","completed_at":null,"error":{"code":"server_error","message":"The request failed."},"incomplete_details":null}`,
			[]string{"mcp_call", "mcp_call", "function_call"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, err := Assemble(tt.c, now)
			if err != nil {
				t.Fatal(err)
			}
			var got, want map[string]any
			var object struct {
				ID       string
				Output   []struct{ Type string }
				Metadata map[string]string
				Usage    struct {
					Total int `json:"total_tokens"`
				}
			}
			for into, text := range map[any]string{&got: string(b), &want: tt.want, &object: string(b)} {
				if err := json.Unmarshal([]byte(text), into); err != nil {
					t.Fatal(err)
				}
			}
			for name, value := range want {
				if diff := cmp.Diff(value, got[name]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
			var says []string
			for _, it := range object.Output {
				says = append(says, it.Type)
			}
			if diff := cmp.Diff(tt.says, says); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
			if object.ID != "resp_01890a5dac96774bbcceb302099a8057" || object.Metadata["k"] != "v" || object.Usage.Total != 7 {
				t.Errorf("the object is %s", b)
			}
		})
	}
}

// A call that a tool-runner made is shown as a hosted one, with the output that
// the model saw.
func TestHosted(t *testing.T) {
	t.Parallel()
	turns, err := transcript.Turns(recordOf(t, run.Completed, "", lastAnswer(t)))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`{"type":"mcp_call","id":"mcp_1","status":"completed","server_label":"windlass","name":"add","arguments":"{\"n\":1}","output":"2\u0000","error":null,"approval_request_id":null}`,
		`{"type":"mcp_call","id":"mcp_2","status":"failed","server_label":"windlass","name":"add","arguments":"{","output":null,` +
			`"error":{"type":"mcp_tool_execution_error","content":[{"type":"text","text":"no JSON"}]},"approval_request_id":null}`,
		`{"type":"function_call","id":"fc_3","status":"completed","call_id":"c","name":"ask","arguments":"{}"}`,
	}
	for i, it := range transcript.Output(turns)[:3] {
		if diff := cmp.Diff(want[i], string(it.JSON())); diff != "" {
			t.Errorf("item %d (-want +got):\n%s", i, diff)
		}
	}
}

func TestWhatCannotBeAssembled(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*run.Chain){
		"body":    func(c *run.Chain) { c.Body = []byte(`{`) },
		"record":  func(c *run.Chain) { c.Steps[0].Output = []byte(`{`) },
		"outcome": func(c *run.Chain) { c.Outcome = run.Cancelled },
	} {
		c := recordOf(t, run.Completed, "", lastAnswer(t))
		change(&c)
		if b, err := Assemble(c, time.Now()); err == nil {
			t.Errorf("a broken %s is assembled to %s", name, b)
		}
		c.Model = "m"
		spectest.Conforms(t, spectest.Schema(t, "ResponseResource"), Unreadable(c))
	}
}

// The answer of a request of one model call is its step, whatever that
// contains.
func TestACallIsNotAssembled(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []run.Endpoint{"chat/completions", "completions", "embeddings", "responses/compact"} {
		c := run.Chain{Body: []byte(`{}`), Steps: []run.Step{{Turn: 1, Kind: "model", State: run.StepDone, Output: []byte(`{"data":[]}`)}}}
		c.Endpoint, c.Outcome = endpoint, run.Completed
		if b, err := Assemble(c, time.Now()); b != nil || err != nil {
			t.Errorf("%s is assembled to %s, %v; want nothing", endpoint, b, err)
		}
	}
}

func TestAdditions(t *testing.T) {
	t.Parallel()
	c := recordOf(t, run.Completed, "", lastAnswer(t))
	c.Body = []byte(`{"model":"m","conversation":"conv_1","input":[{"role":"user","content":"hi"},{"type":"function_call_output","call_id":"d","output":""},{"type":"compaction_trigger"}]}`)
	got, err := Additions(c)
	if err != nil {
		t.Fatal(err)
	}
	const digits = "01890a5dac96774bbcceb302099a8057"
	want := []string{"msg_" + digits + "_in0000", "fco_" + digits + "_in0001 answers d", "mcp_1", "mcp_2", "fc_3 calls c", "msg_1"}
	var names []string
	for _, it := range got {
		name := it.ID
		if it.Calls != nil {
			name += " calls " + string(it.Calls)
		}
		if it.Answers != nil {
			name += " answers " + string(it.Answers)
		}
		names = append(names, name)
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, change := range map[string]func(*run.Chain){
		"body":   func(c *run.Chain) { c.Body = []byte(`{`) },
		"record": func(c *run.Chain) { c.Steps[0].Output = []byte(`{`) },
	} {
		c := recordOf(t, run.Completed, "", lastAnswer(t))
		change(&c)
		if _, err := Additions(c); err == nil {
			t.Errorf("a broken %s is added", name)
		}
	}
}
