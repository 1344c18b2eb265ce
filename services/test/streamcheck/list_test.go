package streamcheck

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	listItem = `{"type":"mcp_list_tools","id":"mcpl_1","server_label":"windlass","tools":[{"name":"g","input_schema":{}}],"error":null}`
	listed   = `created	{"type":"response.created","response":{"id":"resp_1","status":"in_progress","output":[],"tools":[{"type":"mcp"}]}}
begun	{"type":"response.in_progress","response":{"id":"resp_1","status":"in_progress","output":[]}}
list	{"type":"response.output_item.added","output_index":0,"item":{"type":"mcp_list_tools","id":"mcpl_1","server_label":"windlass","tools":[],"error":null}}
list begun	{"type":"response.mcp_list_tools.in_progress","item_id":"mcpl_1","output_index":0}
list ended	{"type":"response.mcp_list_tools.completed","item_id":"mcpl_1","output_index":0}
list done	{"type":"response.output_item.done","output_index":0,"item":` + listItem + `}
completed	{"type":"response.completed","response":{"id":"resp_1","status":"completed","output":[` + listItem + `]}}`
)

func listScript() script { return strings.Split(listed, "\n") }

func TestLists(t *testing.T) {
	t.Parallel()
	failed := func(s script) script {
		return s.change("list done", `"error":null`, `"error":{"m":1}`).change("completed", `"error":null`, `"error":{"m":1}`)
	}
	var listed []string
	for _, line := range listScript()[2:6] {
		_, event, _ := strings.Cut(line, "\t")
		listed = append(listed, event)
	}
	snapshot := `{"type":"response.in_progress","response":{"id":"resp_1","status":"in_progress","output":[`
	first := `{"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"msg_1","status":"in_progress","content":[]}}`
	for name, tt := range map[string]struct {
		s    script
		want []string
	}{
		"a list":                              {listScript(), nil},
		"a list that failed":                  {failed(listScript().change("list ended", "completed", "failed")), nil},
		"a snapshot with the list":            {listScript().after("list done", snapshot+listItem+`]}}`), nil},
		"a snapshot that has forgotten it":    {listScript().after("begun", append(listed, snapshot+`]}}`)...), nil},
		"tools from the start":                {listScript().change("list", `"tools":[]`, `"tools":[{}]`), []string{"list"}},
		"never in progress":                   {listScript().without("list begun"), []string{"list"}},
		"never at its end":                    {listScript().without("list ended"), []string{"list"}},
		"failed without an error":             {listScript().change("list ended", "completed", "failed"), []string{"list"}},
		"completed with an error":             {failed(listScript()), []string{"list"}},
		"in progress again":                   {listScript().after("list ended", `{"type":"response.mcp_list_tools.in_progress","item_id":"mcpl_1","output_index":0}`), []string{"item"}},
		"done without tools":                  {listScript().change("list done", `"tools":[{"name":"g","input_schema":{}}],`, ``), []string{"list", "final"}},
		"behind a message":                    {listScript().change("list", `"output_index":0`, `"output_index":1`).after("begun", first), []string{"list", "item", "final"}},
		"a request that names no tool server": {listScript().change("created", `"tools":[{"type":"mcp"}]`, `"tools":[{"type":"function"}]`), []string{"list"}},
		"a request without tools":             {listScript().change("created", `"tools":[{"type":"mcp"}]`, `"tools":[]`), []string{"list"}},
	} {
		if diff := cmp.Diff(tt.want, rules(Check(tt.s.raw()))); diff != "" {
			t.Errorf("%s (-want +got):\n%s%v", name, diff, Check(tt.s.raw()))
		}
	}
}
