package item

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"windlass.dev/windlass/pkg/spectest"
)

func parse(t testing.TB, s string) Item {
	t.Helper()
	it, err := Parse([]byte(s))
	if err != nil {
		t.Fatalf("Parse(%s): %s", s, err.JSON())
	}
	return it
}

func TestParse(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Item{
		`{"role":"user","content":"x"}`: {Type: "message", Role: "user"},
		`{"id":"msg_1"}`:                {Type: "item_reference", ID: "msg_1"},
		`{"type":null,"id":"msg_1"}`:    {Type: "item_reference", ID: "msg_1"},
		`{"type":"function_call","id":"fc","call_id":"c","name":"f","arguments":"{}","status":"completed"}`: {
			Type: "function_call", ID: "fc", CallID: "c", Name: "f", Status: "completed",
		},
		`{"type":"mcp_call","id":"m","server_label":"s","name":"f","arguments":"{}","output":null,"status":"failed"}`: {
			Type: "mcp_call", ID: "m", ServerLabel: "s", Name: "f", Status: "failed",
		},
		`{"type":"acme:x","id":"i","name":7}`: {Type: "acme:x", ID: "i"},
	} {
		if diff := cmp.Diff(want, parse(t, in), cmpopts.IgnoreUnexported(Item{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", in, diff)
		}
	}
}

func TestListNamesTheFieldAtFault(t *testing.T) {
	t.Parallel()
	_, err := List([]byte(`[{"role":"user","content":"x"},{"role":"user","content":[{"type":"input_file","file_id":3}]}]`), "items")
	if err == nil || err.Param != "items[1].content[0].file_id" || err.Code != "invalid_type" {
		t.Errorf("List = %+v, want invalid_type at items[1].content[0].file_id", err)
	}
}

func TestBuiltItemsReadBack(t *testing.T) {
	t.Parallel()
	out := "result\x00"
	call := Call{ID: "mcp_1", Status: "completed", ServerLabel: "s", Name: "f", Arguments: `{"a":1}`, Output: &out}
	it := parse(t, string(call.MCP().JSON()))
	if got, ok := it.Output(); !ok || got != out || it.Error() != "" || it.Arguments() != call.Arguments {
		t.Errorf("mcp_call reads as %q %v, error %q, arguments %q", got, ok, it.Error(), it.Arguments())
	}
	call.Output, call.Error, call.Status = nil, "it broke", "failed"
	it = parse(t, string(call.MCP().JSON()))
	if _, ok := it.Output(); ok || it.Error() != "it broke" || it.Status != "failed" {
		t.Errorf("failed mcp_call reads as %s", it.JSON())
	}
	it = parse(t, string(FunctionOutput("fco", "c", "completed", "x").JSON()))
	if diff := cmp.Diff([]Part{{Type: "input_text", Text: "x"}}, it.Parts()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	it = parse(t, string(Reasoning{ID: "rs", Summary: []string{"a", "b"}, Text: "t", Encrypted: "e"}.Item().JSON()))
	if diff := cmp.Diff([]string{"a", "b"}, it.Summary()); diff != "" || it.Encrypted() != "e" {
		t.Errorf("reasoning reads as %s", it.JSON())
	}
	if diff := cmp.Diff([]Part{{Type: "reasoning_text", Text: "t"}}, it.Parts()); diff != "" {
		t.Errorf("reasoning (-want +got):\n%s", diff)
	}
	parts := []Part{
		{Type: "output_text", Text: "hi", Annotations: json.RawMessage(`[]`), Logprobs: json.RawMessage(`[1]`)},
		{Type: "refusal", Text: "no"},
		{Type: "input_image", FileID: "file_1", Detail: "auto"},
		{Type: "input_file", Filename: "a", FileData: "b", FileURL: "c", FileID: "d"},
	}
	it = parse(t, string(Message("msg", "assistant", "in_progress", parts...).JSON()))
	if diff := cmp.Diff(parts, it.Parts()); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	b, err := json.Marshal([]Item{it, {}})
	if want := "[" + string(it.JSON()) + ",null]"; err != nil || string(b) != want {
		t.Errorf("Marshal = %s, %v; want %s", b, err, want)
	}
}

func TestPartsOfPlainText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"role":"assistant","content":"x"}`:                                            "output_text",
		`{"role":"developer","content":"x"}`:                                            "input_text",
		`{"type":"function_call_output","call_id":"c","output":"x"}`:                    "input_text",
		`{"type":"message","role":"user","content":[{"type":"input_text","text":"x"}]}`: "input_text",
	} {
		if diff := cmp.Diff([]Part{{Type: want, Text: "x"}}, parse(t, in).Parts()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", in, diff)
		}
	}
}

func TestStored(t *testing.T) {
	t.Parallel()
	spec := spectest.Schema(t, "ItemField")
	for _, tt := range []struct{ in, want string }{
		{
			`{"role":"user","content":"x","id":null,"note":1}`,
			`{"type":"message","id":"new","status":"completed","role":"user","content":[{"type":"input_text","text":"x"}],"note":1}`,
		},
		{
			`{"role":"assistant","id":"own","phase":null,"status":"odd","content":[{"type":"output_text","text":"x"}]}`,
			`{"type":"message","id":"own","status":"completed","role":"assistant","content":[{"type":"output_text","text":"x","annotations":[]}]}`,
		},
		{
			`{"role":"user","content":[{"type":"input_image","file_id":"f","image_url":null,"detail":null}]}`,
			`{"type":"message","id":"new","status":"completed","role":"user","content":[{"type":"input_image","file_id":"f","image_url":null,"detail":"auto"}]}`,
		},
		{
			`{"type":"function_call_output","call_id":"c","output":[{"type":"input_file","filename":"n","file_data":null}]}`,
			`{"type":"function_call_output","id":"new","status":"completed","call_id":"c","output":[{"type":"input_file","filename":"n"}]}`,
		},
		{
			`{"type":"reasoning","summary":[],"content":null,"encrypted_content":null}`,
			`{"type":"reasoning","id":"new","summary":[]}`,
		},
		{
			`{"type":"function_call","call_id":"c","name":"f","arguments":"","status":"incomplete"}`,
			`{"type":"function_call","id":"new","status":"incomplete","call_id":"c","name":"f","arguments":""}`,
		},
	} {
		got := parse(t, tt.in).Stored("new")
		if diff := cmp.Diff(tt.want, string(got.JSON())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.in, diff)
		}
		spectest.Conforms(t, spec, got.JSON())
	}
	it := parse(t, `{"type":"acme:x","a":null,"status":"odd"}`).Stored("new")
	if want := `{"type":"acme:x","id":"new","status":"odd","a":null}`; string(it.JSON()) != want {
		t.Errorf("unknown item = %s, want %s", it.JSON(), want)
	}
}

func TestToolList(t *testing.T) {
	t.Parallel()
	tools := []Listed{{Name: "f", Description: "Does \"it\".\n", Schema: json.RawMessage("{\n \"type\": \"object\"\n}")}, {Name: "g"}}
	it := ToolList("mcpl_1", "s", tools)
	want := `{"type":"mcp_list_tools","id":"mcpl_1","server_label":"s","tools":[{"name":"f","description":"Does \"it\".\n","input_schema":{"type":"object"}},` +
		`{"name":"g","input_schema":{"type":"object","properties":{}}}]}`
	if string(it.JSON()) != want {
		t.Errorf("built %s\nwant %s", it.JSON(), want)
	}
	if back := parse(t, want); back.Type != it.Type || back.ID != it.ID || back.ServerLabel != it.ServerLabel || !back.SameTools(it) {
		t.Errorf("read back as %+v", back)
	}
	if none := ToolList("mcpl_2", "s", nil); none.SameTools(it) || !none.SameTools(none) || it.SameTools(Item{}) {
		t.Errorf("%s has the tools of %s, or no list has them", none.JSON(), it.JSON())
	}
}
