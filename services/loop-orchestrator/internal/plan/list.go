package plan

import (
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run/itemid"
	"windlass.dev/windlass/services/internal/toolset"
)

const listTools = "mcp_list_tools"

// list is the item that a response begins with whose model is offered the registered tools, unless what it continues or was sent has
// the same list. It is recorded with the first turn: a turn whose record has none, because another version took it, is numbered
// without it by everybody.
func (s State) list() (item.Item, bool) {
	if len(s.spokenTurns()) > 0 || s.Tools.Listed == nil {
		return item.Item{}, false
	}
	list := item.ToolList(itemid.Output("mcp_list_tools", s.ID, s.Turn, s.Base()), toolset.ServerLabel, s.Tools.Listed)
	return list, !s.known().SameTools(list)
}

// known is the last list of the registered tools that the request continues or brings; the zero Item where there is none.
func (s State) known() item.Item {
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
