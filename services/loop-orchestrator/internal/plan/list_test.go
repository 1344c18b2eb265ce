package plan

import (
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

const (
	schemaOfAdd = `{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}`
	listOfTools = `{"type":"mcp_list_tools","id":"mcpl_01890a5dac96774bbcceb302099a805700010000","server_label":"windlass","tools":[` +
		`{"name":"add","input_schema":` + schemaOfAdd + `},` +
		`{"name":"now","input_schema":{"type":"object","properties":{}}}]}`
)

func items(tb testing.TB, text ...string) []item.Item {
	tb.Helper()
	all, fault := item.List([]byte("["+strings.Join(text, ",")+"]"), "items")
	if fault != nil {
		tb.Fatal(fault)
	}
	return all
}

func TestAResponseBeginsWithTheList(t *testing.T) {
	t.Parallel()
	d := Begin(newState(t, ""))
	var shown []string
	for i, e := range d.Before() {
		shown = append(shown, string(e.AppendJSON(nil, i)))
	}
	at := `"item_id":"mcpl_01890a5dac96774bbcceb302099a805700010000","output_index":0}`
	want := []string{
		`{"type":"response.output_item.added","sequence_number":0,"output_index":0,"item":{"type":"mcp_list_tools",` +
			`"id":"mcpl_01890a5dac96774bbcceb302099a805700010000","server_label":"windlass","tools":[]}}`,
		`{"type":"response.mcp_list_tools.in_progress","sequence_number":1,` + at,
		`{"type":"response.mcp_list_tools.completed","sequence_number":2,` + at,
		`{"type":"response.output_item.done","sequence_number":3,"output_index":0,"item":` + listOfTools + `}`,
	}
	if got := strings.Join(shown, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("shown\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	record, commit, events := d.End(say{Text: "so", Calls: calls("add", "ask", "add")}.answer())
	for i, it := range record.Items {
		if place := it.ID[len(it.ID)-4:]; place != []string{"0000", "0001", "0002", "0003", "0004"}[i] {
			t.Errorf("item %d has the id %s", i, it.ID)
		}
	}
	if string(record.Items[0].JSON()) != listOfTools || commit.Steps[0].Place != 2 || commit.Steps[1].Place != 4 {
		t.Errorf("recorded %s, with steps at %d and %d", record.Items[0].JSON(), commit.Steps[0].Place, commit.Steps[1].Place)
	}
	if first := string(events[0].AppendJSON(nil, 4)); !strings.Contains(first, `"output_index":1`) {
		t.Errorf("the event of the model's first item is %s", first)
	}
}

// Later turns number the output by what the first one recorded.
func TestOnlyTheFirstTurnLists(t *testing.T) {
	t.Parallel()
	for recorded, place := range map[string]int{"": 0, listOfTools: 1} {
		s := newState(t, "")
		before := transcript.Turn{}
		if recorded != "" {
			before.Items = items(t, recorded)
		}
		s.Turn, s.Turns = 2, []transcript.Turn{before}
		d := Begin(s)
		record, commit, _ := d.End(say{Calls: calls("add")}.answer())
		if len(d.Before()) > 0 || len(record.Items) != 1 || commit.Steps[0].Place != place {
			t.Errorf("after %q: recorded %d items, the call at %d, want %d", recorded, len(record.Items), commit.Steps[0].Place, place)
		}
	}
}

// In a turn that compacts the history the model is not offered tools.
func TestACompactionIsNoTurnOfTheModels(t *testing.T) {
	t.Parallel()
	s := newState(t, `,"max_output_tokens":20,"tool_choice":"required"`)
	compacted := transcript.Turn{Record: transcript.Record{Items: []item.Item{item.Compaction("cmp_1", "x")}, Usage: responses.Usage{OutputTokens: 500}}}
	s.Turn, s.Turns = 2, []transcript.Turn{compacted}
	record, commit, _ := Begin(s).End(say{Calls: calls("add")}.answer())
	if len(record.Items) != 2 || record.Items[0].ID != "mcpl_01890a5dac96774bbcceb302099a805700020001" || commit.Steps[0].Place != 2 || commit.Outcome != "" {
		t.Errorf("recorded %d items, first %s, the call at %d, ended %q by %q", len(record.Items), record.Items[0].ID, commit.Steps[0].Place, commit.Outcome, commit.Reason)
	}
	if left := s.TokensLeft(); *left != 20 || s.Choice().Mode != "required" {
		t.Errorf("%d tokens are left and the choice is %+v", *left, s.Choice())
	}
}

func TestWhatIsKnownIsNotListed(t *testing.T) {
	t.Parallel()
	theirs := `{"type":"mcp_list_tools","server_label":"windlass","id":"mcpl_1","tools":[` + // as an SDK gives it back
		`{"annotations":{"a":1},"input_schema":{"required":["n"],"type":"object","properties":{"n":{"type":"integer"}}},"name":"add","description":""},` +
		`{"input_schema":{"properties":{},"type":"object"},"name":"now"}]}`
	old := `{"type":"mcp_list_tools","id":"mcpl_2","server_label":"windlass","tools":[{"name":"add","input_schema":{}}]}`
	other := strings.Replace(theirs, "windlass", "other", 1)
	broken := `{"type":"mcp_list_tools","id":"mcpl_3","server_label":"windlass","tools":7}`
	said := func(text ...string) transcript.Turn {
		return transcript.Turn{Record: transcript.Record{Items: items(t, text...)}}
	}
	for name, tt := range map[string]struct {
		earlier []transcript.Ancestor
		input   []item.Item
		tools   string
		lists   bool
	}{
		"nothing":              {nil, nil, hosted, true},
		"no server":            {nil, nil, function, false},
		"no tool of it":        {nil, nil, `{"type":"mcp","server_label":"windlass","allowed_tools":[]}`, true},
		"sent":                 {nil, items(t, theirs), hosted, false},
		"sent, of another":     {nil, items(t, other), hosted, true},
		"sent, but others":     {nil, items(t, old), hosted, true},
		"sent, broken":         {nil, items(t, broken), hosted, true},
		"sent, and fewer now":  {nil, items(t, theirs), `{"type":"mcp","server_label":"windlass","allowed_tools":["now"]}`, true},
		"said":                 {[]transcript.Ancestor{{}, {Turns: []transcript.Turn{said(listOfTools), said()}}, {}}, nil, hosted, false},
		"brought":              {[]transcript.Ancestor{{Input: items(t, listOfTools)}}, nil, hosted, false},
		"said, others since":   {[]transcript.Ancestor{{Turns: []transcript.Turn{said(listOfTools)}}, {Turns: []transcript.Turn{said(old)}}}, nil, hosted, true},
		"others, said since":   {[]transcript.Ancestor{{Turns: []transcript.Turn{said(old)}}, {Turns: []transcript.Turn{said(listOfTools)}}}, nil, hosted, false},
		"said, others sent":    {[]transcript.Ancestor{{Turns: []transcript.Turn{said(listOfTools)}}}, items(t, old), hosted, true},
		"said, another's sent": {[]transcript.Ancestor{{Turns: []transcript.Turn{said(listOfTools)}}}, items(t, other), hosted, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newState(t, "")
			s.Tools = resolve(t, `"tools":[`+tt.tools+`]`)
			s.Earlier, s.Request.Input = tt.earlier, append(tt.input, s.Request.Input...)
			if got := len(Begin(s).Before()) > 0; got != tt.lists {
				t.Errorf("lists: %v, want %v", got, tt.lists)
			}
		})
	}
}

func TestAListIsNotOutputThatCounts(t *testing.T) {
	t.Parallel()
	s := newState(t, "")
	s.Limits.MaxOutputBytes = 200 // less than the list has
	record, commit, _ := Begin(s).End(model.Answer{Finish: model.Stopped, Outputs: say{Calls: calls("add")}.answer().Outputs})
	if commit.Outcome != "" || len(record.Items) != 2 {
		t.Errorf("ended %s by %s", commit.Outcome, commit.Reason)
	}
}
