package params

import (
	"encoding/json"
	"testing"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/tool"
	"windlass.dev/windlass/services/internal/toolset"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

func TestToolChoice(t *testing.T) {
	t.Parallel()
	offers := []toolset.Offer{{Name: "f"}}
	for _, tt := range []struct {
		name   string
		offers []toolset.Offer
		choice tool.Choice
		want   string
	}{
		{"no tools", nil, tool.Choice{Mode: "required"}, `{"model":"m"}`},
		{"the default", offers, tool.Choice{}, `{"model":"m","parallel_tool_calls":false}`},
		{"a mode", offers, tool.Choice{Mode: "none"}, `{"model":"m","tool_choice":"none","parallel_tool_calls":false}`},
		{"a tool", offers, tool.Choice{Tool: &tool.Ref{Type: "function", Name: "f"}}, `{"model":"m","tool_choice":"force f","parallel_tool_calls":false}`},
		{"a server", offers, tool.Choice{Tool: &tool.Ref{Type: "mcp", ServerLabel: "s"}}, `{"model":"m","tool_choice":"required","parallel_tool_calls":false}`},
	} {
		c := model.Call{Model: "m", Request: &responses.Create{ParallelToolCalls: new(false)}, Tools: tt.offers, Choice: tt.choice}
		got, err := json.Marshal(Of(c, func(r tool.Ref) any { return "force " + r.Name }))
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: %s, %v, want %s", tt.name, got, err, tt.want)
		}
	}
}
