package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/internal/toolset"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

var requestID = uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057")

func newRegistry(tb testing.TB) *registry.Registry {
	tb.Helper()
	reg, err := registry.New(registry.File{
		Models: []registry.Model{{Name: "m", Upstream: registry.Upstream{URL: "http://127.0.0.1:1/v1"}}},
		Tools: []registry.Tool{
			{Name: "add", URL: "http://127.0.0.1:1/add", Pool: "sums", Parameters: registry.Schema(
				"{\n  \"type\": \"object\",\n  \"properties\": {\"n\":{\"type\":\"integer\"}},\"required\":[\"n\"]}")},
			{Name: "now", URL: "http://127.0.0.1:1/now"},
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return reg
}

// decode reads a request with more fields than model and input.
func decode(tb testing.TB, fields string) *responses.Create {
	tb.Helper()
	if fields != "" {
		fields = "," + fields
	}
	r, fault := responses.Decode([]byte(`{"model":"m","input":"hi"` + fields + `}`))
	if fault != nil {
		tb.Fatalf("decode %s: %s", fields, fault.JSON())
	}
	return r
}

const (
	hosted   = `{"type":"mcp","server_label":"windlass"}`
	function = `{"type":"function","name":"ask"}`
)

// newState is turn 1 of a request with the registered tools and a function of
// the client's.
func newState(tb testing.TB, fields string) State {
	tb.Helper()
	fields = `"tools":[` + hosted + `,` + function + `]` + fields
	return State{
		ID: requestID, Turn: 1, Request: decode(tb, fields), Tools: resolve(tb, fields),
		Limits: registry.Limits{MaxTurns: 10, MaxToolCalls: 5, MaxParallelToolCalls: 3, MaxTokens: 1000, MaxOutputBytes: 2000},
	}
}

func resolve(tb testing.TB, fields string) toolset.Toolset {
	tb.Helper()
	tools, err := toolset.Resolve(decode(tb, fields), newRegistry(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return tools
}

// turnBefore is a turn in which add was called n times, with that much output
// each.
func turnBefore(n, bytes int, u responses.Usage) transcript.Turn {
	t := transcript.Turn{Record: transcript.Record{Usage: u}, Tools: map[string]run.Step{}}
	for i := range n {
		id := fmt.Sprintf("old%d", i)
		t.Items = append(t.Items, item.Call{ID: "fc_" + id, CallID: id, Name: "add"}.Function())
		t.Tools[id] = run.Step{CallID: id, State: run.StepDone, Output: make([]byte, bytes)}
	}
	return t
}

// say is an answer by what is in it.
type say struct {
	Text, Refusal, Reasoning string
	Calls                    []model.ToolCall
	Finish                   model.Finish
	Usage                    responses.Usage
}

func (s say) answer() model.Answer {
	a := model.Answer{Finish: s.Finish, Usage: s.Usage}
	if a.Finish == "" {
		a.Finish = model.Stopped
	}
	if s.Reasoning != "" {
		a.Outputs = append(a.Outputs, model.Output{Kind: model.Reasoning, Reasoning: item.Reasoning{Text: s.Reasoning}})
	}
	var parts []item.Part
	if s.Text != "" {
		parts = append(parts, item.Part{Type: "output_text", Text: s.Text})
	}
	if s.Refusal != "" {
		parts = append(parts, item.Part{Type: "refusal", Text: s.Refusal})
	}
	if parts != nil {
		a.Outputs = append(a.Outputs, model.Output{Kind: model.Message, Parts: parts})
	}
	for _, c := range s.Calls {
		a.Outputs = append(a.Outputs, model.Output{Kind: model.Function, Call: c})
	}
	return a
}

func next(s State, said say) (transcript.Record, run.TurnCommit) {
	record, commit, _ := Begin(s).End(said.answer())
	return record, commit
}

func calls(names ...string) []model.ToolCall {
	var all []model.ToolCall
	for i, name := range names {
		all = append(all, model.ToolCall{ID: fmt.Sprintf("c%d", i), Name: name, Arguments: `{"n":1}`})
	}
	return all
}

func repeat(name string, n int) []string { return slices.Repeat([]string{name}, n) }

// errorsOf are the codes of the steps' failures; empty for one that is due.
func errorsOf(t run.TurnCommit) []string {
	var codes []string
	for _, s := range t.Steps {
		code := ""
		if !s.Due() {
			code = run.ReadFailure(s.Error).Code
		}
		codes = append(codes, code)
	}
	return codes
}

func TestNextDecides(t *testing.T) {
	t.Parallel()
	usage := func(in, out int64) responses.Usage { return responses.Usage{InputTokens: in, OutputTokens: out} }
	tests := []struct {
		name    string
		fields  string
		turn    int
		before  []transcript.Turn
		answer  say
		outcome run.Status
		reason  string
		steps   []string // their errors; empty: due
	}{
		{"an answer", "", 1, nil, say{Text: "hi", Finish: model.Stopped}, run.Completed, "", nil},
		{"nothing at all", "", 1, nil, say{Finish: model.Stopped}, run.Completed, "", nil},
		{"calls", "", 1, nil, say{Calls: calls("add", "add"), Finish: model.Stopped}, "", "", []string{"", ""}},
		{"the client's call", "", 1, nil, say{Calls: calls("ask"), Finish: model.Stopped}, run.Completed, "", nil},
		{"calls of both", "", 1, nil, say{Calls: calls("ask", "add"), Finish: model.Stopped}, run.Completed, "", []string{""}},
		{"only refused calls", "", 1, nil, say{Calls: calls("nope"), Finish: model.Stopped}, "", "", []string{"unknown_tool"}},
		{"cut by length", "", 1, nil, say{Text: "h", Calls: calls("add"), Finish: model.Length}, run.Incomplete, "max_output_tokens", []string{"incomplete"}},
		{"filtered", "", 1, nil, say{Calls: calls("ask"), Finish: model.Filtered}, run.Incomplete, "content_filter", nil},
		{"ended oddly", "", 1, nil, say{Calls: calls("add"), Finish: model.Other}, run.Incomplete, "unknown_finish_reason", []string{"incomplete"}},

		{
			"too many at once", "", 1, nil,
			say{Calls: calls(repeat("add", 5)...)},
			"", "",
			[]string{"", "", "", "too_many_parallel_calls", "too_many_parallel_calls"},
		},
		{"the client's calls are not counted", "", 1, nil, say{Calls: calls("ask", "ask", "add", "add", "add")}, run.Completed, "", []string{"", "", ""}},
		{
			"the request's calls are spent", `,"max_tool_calls":2`, 2,
			[]transcript.Turn{turnBefore(1, 0, usage(0, 0))},
			say{Calls: calls("add", "add")},
			"", "",
			[]string{"", "max_tool_calls"},
		},
		{
			"the server's calls are spent", "", 2,
			[]transcript.Turn{turnBefore(4, 0, usage(0, 0))},
			say{Calls: calls("add", "add")},
			"", "",
			[]string{"", "max_tool_calls"},
		},

		{"the last turn", "", 10, nil, say{Calls: calls("add", "nope")}, run.Incomplete, "max_turns", []string{"max_turns", "unknown_tool"}},
		{"an answer in the last turn", "", 10, nil, say{Text: "hi"}, run.Completed, "", nil},
		{"the client's call in the last turn", "", 10, nil, say{Calls: calls("ask", "add")}, run.Completed, "", []string{""}},
		{
			"tokens", "", 2,
			[]transcript.Turn{turnBefore(1, 0, usage(500, 400))},
			say{Calls: calls("add"), Usage: usage(90, 10)},
			run.Incomplete, "max_tokens",
			[]string{"max_tokens"},
		},
		{"tokens, one less", "", 2, []transcript.Turn{turnBefore(1, 0, usage(500, 400))}, say{Calls: calls("add"), Usage: usage(90, 9)}, "", "", []string{""}},
		{
			"output tokens", `,"max_output_tokens":20`, 2,
			[]transcript.Turn{turnBefore(1, 0, usage(0, 15))},
			say{Calls: calls("add"), Usage: usage(0, 5)},
			run.Incomplete, "max_output_tokens",
			[]string{"max_output_tokens"},
		},
		{"bytes", "", 2, []transcript.Turn{turnBefore(2, 1000, usage(0, 0))}, say{Calls: calls("add")}, run.Incomplete, "max_output_bytes", []string{"max_output_bytes"}},
		{"bytes of the model's own", "", 2, nil, say{Reasoning: strings.Repeat("x", 2000), Calls: calls("add")}, run.Incomplete, "max_output_bytes", []string{"max_output_bytes"}},
		{"bytes, some left", "", 2, []transcript.Turn{turnBefore(2, 700, usage(0, 0))}, say{Calls: calls("add")}, "", "", []string{""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newState(t, tt.fields)
			s.Turn, s.Turns = tt.turn, tt.before
			_, got := next(s, tt.answer)
			if got.Outcome != tt.outcome || got.Reason != tt.reason {
				t.Errorf("outcome %q by %q, want %q by %q", got.Outcome, got.Reason, tt.outcome, tt.reason)
			}
			if diff := cmp.Diff(tt.steps, errorsOf(got)); diff != "" {
				t.Errorf("steps' errors (-want +got):\n%s", diff)
			}
			for i, step := range got.Steps {
				if step.Index != i+1 || step.Input == nil || len(step.InputHash) == 0 || step.Due() != (step.Output == nil) {
					t.Errorf("step %d is %+v", i, step)
				}
			}
		})
	}
}

func TestNextRecords(t *testing.T) {
	t.Parallel()
	answer := say{
		Reasoning: "hm", Text: "let me see", Refusal: "not that", Calls: calls("add", "ask"), Usage: responses.Usage{InputTokens: 3, OutputTokens: 4},
	}
	first, commit := next(newState(t, ""), answer)
	again, _ := next(newState(t, ""), answer)
	var types []string
	for i, it := range first.Items {
		types = append(types, it.Type+" "+it.Status)
		if it.ID != again.Items[i].ID {
			t.Errorf("item %d is %s in one attempt and %s in the next", i, it.ID, again.Items[i].ID)
		}
	}
	want := []string{"mcp_list_tools ", "reasoning ", "message completed", "function_call completed", "function_call completed"}
	if diff := cmp.Diff(want, types); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
	if parts := first.Items[2].Parts(); len(parts) != 2 || parts[0].Text != "let me see" || parts[1].Type != "refusal" {
		t.Errorf("message has the parts %+v", parts)
	}
	if first.Usage != answer.Usage || commit.InputTokens != 3 || commit.OutputTokens != 4 {
		t.Errorf("usage is %+v, %d and %d in the commit", first.Usage, commit.InputTokens, commit.OutputTokens)
	}
	if commit.Steps[0].Pool != "sums" || commit.Steps[0].CallID != "c0" {
		t.Errorf("step is %+v", commit.Steps[0])
	}
	phased, _, _ := Begin(newState(t, "")).End(model.Answer{Finish: model.Stopped, Outputs: []model.Output{
		{Kind: model.Message, Phase: "commentary", Parts: []item.Part{{Type: "output_text", Text: "a"}}},
	}})
	if got := string(phased.Items[1].JSON()); !strings.HasSuffix(got, `"logprobs":[]}],"phase":"commentary"}`) {
		t.Errorf("a comment is recorded as %s", got)
	}
	cut, _ := next(newState(t, ""), say{Calls: calls("add"), Finish: model.Length})
	if len(cut.Items) != 2 || cut.Items[1].Type != "function_call" || cut.Items[1].Status != "incomplete" {
		t.Errorf("a cut call left %+v, want an incomplete call", cut.Items)
	}
}
