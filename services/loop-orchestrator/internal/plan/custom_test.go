package plan

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/internal/toolset"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// The call of a custom tool is the client's if the tool was offered; any other
// is an unknown tool.
func TestCustomCalls(t *testing.T) {
	t.Parallel()
	reg, err := registry.New(registry.File{Models: []registry.Model{{
		Name: "m", Upstream: registry.Upstream{URL: "http://127.0.0.1:1/v1", Dialect: registry.Responses},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	request := decode(t, `"tools":[{"type":"custom","name":"patch"},
		{"type":"namespace","name":"crm","tools":[{"type":"function","name":"ask"},{"type":"custom","name":"note"}]}]`)
	tools, err := toolset.Resolve(request, reg)
	if err != nil {
		t.Fatal(err)
	}
	custom := []string{"output_item.added", "custom_tool_call_input.delta", "custom_tool_call_input.delta", "custom_tool_call_input.done", "output_item.done"}
	function := []string{"output_item.added", "function_call_arguments.delta", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done"}
	hosted := []string{"output_item.added", "mcp_call.in_progress", "mcp_call_arguments.delta", "mcp_call_arguments.delta", "mcp_call_arguments.done"}
	for _, tt := range []struct {
		name    string
		kind    model.Kind
		space   string
		call    string
		item    string
		outcome run.Status
		errors  []string
		events  []string // without their prefix
	}{
		{"offered", model.Custom, "", "patch", "custom_tool_call completed  patch *** any", run.Completed, nil, custom},
		{"in a namespace", model.Custom, "crm", "note", "custom_tool_call completed crm note *** any", run.Completed, nil, custom},
		{"a function in a namespace", model.Function, "crm", "ask", "function_call completed crm ask ", run.Completed, nil, function},
		{"not offered", model.Custom, "", "rm", "function_call completed  rm ", "", []string{"unknown_tool"}, hosted},
		{"as a function", model.Function, "", "patch", "function_call completed  patch ", "", []string{"unknown_tool"}, hosted},
		{"without its namespace", model.Function, "", "ask", "function_call completed  ask ", "", []string{"unknown_tool"}, hosted},
		{"in another namespace", model.Custom, "other", "note", "function_call completed  other__note ", "", []string{"unknown_tool"}, hosted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := Begin(State{ID: requestID, Turn: 1, Request: request, Tools: tools, Limits: reg.Limits()})
			call := model.ToolCall{ID: "c1", Space: tt.space, Name: tt.call, Arguments: "*** "}
			shown := d.AddDelta(model.Delta{Kind: tt.kind, Call: call})
			call.Arguments = "*** any"
			record, commit, rest := d.End(model.Answer{Finish: model.Stopped, Outputs: []model.Output{{Kind: tt.kind, Call: call}}})
			var items, events []string
			for _, it := range record.Items {
				items = append(items, it.Type+" "+it.Status+" "+it.Namespace()+" "+it.Name+" "+it.Input())
			}
			for _, e := range append(append([]event.Event(nil), shown...), rest...) {
				events = append(events, strings.TrimPrefix(e.Type, "response."))
			}
			if diff := cmp.Diff([]string{tt.item}, items) + cmp.Diff(tt.events, events) + cmp.Diff(tt.errors, errorsOf(commit)); diff != "" || commit.Outcome != tt.outcome {
				t.Errorf("outcome %q, want %q (-want +got):\n%s", commit.Outcome, tt.outcome, diff)
			}
		})
	}
}
