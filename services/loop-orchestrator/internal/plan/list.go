package plan

import (
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run/itemid"
	"windlass.dev/windlass/services/internal/toolset"
)

const listTools = "mcp_list_tools"

// toolList is the first item of a response whose model is offered the
// registered tools, unless the history or the input has the same list. It is
// recorded with the first turn. If that record has no list, because another
// version made it, later turns number the output without it.
func (s State) toolList() (item.Item, bool) {
	if len(s.answerTurns()) > 0 || s.Tools.Listed == nil {
		return item.Item{}, false
	}
	list := item.ToolList(itemid.Output(listTools, s.ID, s.Turn, s.Base()), toolset.ServerLabel, s.Tools.Listed)
	return list, !s.lastList().SameTools(list)
}

// lastList is the last list of the registered tools in the history and the
// input, or the zero Item.
func (s State) lastList() item.Item {
	var last item.Item
	look := func(items []item.Item) {
		for _, it := range items {
			if it.Type == listTools && it.ServerLabel == toolset.ServerLabel {
				last = it
			}
		}
	}
	for _, a := range s.Earlier {
		look(a.Input)
		for _, t := range a.Turns {
			look(t.Items)
		}
	}
	look(s.Request.Input)
	return last
}
