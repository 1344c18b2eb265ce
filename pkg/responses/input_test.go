package responses

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/responses/item"
)

func TestWithAllowedTools(t *testing.T) {
	t.Parallel()
	const ours, allowed = `{"type":"mcp","server_label":"us"}`, `{"type":"mcp","server_label":"us","allowed_tools":["a","b"]}`
	for body, want := range map[string]string{
		`{"model":"m","tools":[` + ours + `],"x":1}`:                                          `{"model":"m","tools":[` + allowed + `],"x":1}`,
		`{"tools":[1, {"type":"function"}, ` + ours + `,` + ours + `]}`:                       `{"tools":[1,{"type":"function"},` + allowed + `,` + allowed + `]}`,
		`{"tools":[],"t\u006fols":[{"allowed_tools":null,"type":"mcp","server_label":"us"}]}`: `{"tools":[{"allowed_tools":["a","b"],"type":"mcp","server_label":"us"}]}`,
		`{"tools":[{"type":"mcp","server_label":"us","allowed_tools":["c"]}]}`:                "",
		`{"tools":[{"type":"mcp","server_label":"them"},{"server_label":"us"}]}`:              "",
		`{"tools":null}`: "", `{}`: "", `[1]`: "", `"tools"`: "",
	} {
		got, f := WithAllowedTools([]byte(body), "us", []string{"a", "b"})
		if f != nil {
			t.Errorf("%s: %s", body, f.JSON())
			continue
		}
		if want == "" {
			want = body
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
	none, f := WithAllowedTools([]byte(`{"tools":[`+ours+`]}`), "us", nil)
	if want := `{"tools":[{"type":"mcp","server_label":"us","allowed_tools":[]}]}`; f != nil || string(none) != want {
		t.Errorf("without tools: %s, %v, want %s", none, f, want)
	}
	if _, f := WithAllowedTools([]byte(`{`), "us", nil); f == nil {
		t.Error("half a body was taken")
	}
}

func TestWithInput(t *testing.T) {
	t.Parallel()
	items, f := item.List([]byte(`[{"type":"reasoning","id":"rs_1","summary":[]},{"role":"user","content":"\u0000"}]`), "input")
	if f != nil {
		t.Fatal(f)
	}
	const input = `[{"type":"reasoning","id":"rs_1","summary":[]},{"role":"user","content":"\u0000"}]`
	for body, want := range map[string]string{
		`{"model":"m","input":[{"id":"rs_1"}],"x":1}`:              `{"model":"m","input":` + input + `,"x":1}`,
		`{"inp\u0075t":[],"input":1,"new\n":{"a":1},"input":null}`: `{"inp\u0075t":` + input + `,"new\n":{"a":1}}`,
		`{}`: `{"input":` + input + `}`,
	} {
		got, f := WithInput([]byte(body), items)
		if f != nil {
			t.Errorf("%s: %s", body, f.JSON())
			continue
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
	if got, f := WithInput([]byte(`{"input":[1]}`), nil); f != nil || string(got) != `{"input":[]}` {
		t.Errorf("without items: %s, %v", got, f)
	}
	if _, f := WithInput([]byte(`{`), nil); f == nil {
		t.Error("half a body has got an input")
	}
	if f := Duplicate("msg_1"); f.Status != 400 || f.Param != "input" {
		t.Errorf("Duplicate = %+v", f)
	}
}

func TestIncludable(t *testing.T) {
	t.Parallel()
	if f := Includable([]string{"reasoning.encrypted_content", "message.output_text.logprobs"}); f != nil {
		t.Error(f)
	}
	f := Includable([]string{"reasoning.encrypted_content", "all"})
	if f == nil || f.Param != "include[1]" || f.Code != "invalid_value" {
		t.Errorf("all: %+v, want it refused", f)
	}
}
