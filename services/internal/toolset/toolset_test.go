package toolset

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses"
)

func newRegistry(tb testing.TB) *registry.Registry {
	tb.Helper()
	reg, err := registry.New(registry.File{Tools: []registry.Tool{
		{Name: "add", URL: "http://127.0.0.1:1/add"}, {Name: "now", URL: "http://127.0.0.1:1/now"},
	}})
	if err != nil {
		tb.Fatal(err)
	}
	return reg
}

// decode reads a request with more fields than model and input.
func decode(tb testing.TB, fields string) *responses.Create {
	tb.Helper()
	r, fault := responses.Decode([]byte(`{"model":"m","input":"hi",` + fields + `}`))
	if fault != nil {
		tb.Fatalf("decode %s: %s", fields, fault.JSON())
	}
	return r
}

const (
	hosted   = `{"type":"mcp","server_label":"windlass"}`
	function = `{"type":"function","name":"ask"}`
)

func TestResolve(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		fields string
		offers []string
		param  string // of the refusal
	}{
		{"none", `"tools":[]`, nil, ""},
		{"the server's", `"tools":[` + hosted + `]`, []string{"add", "now"}, ""},
		{"twice", `"tools":[` + hosted + `,` + hosted + `]`, []string{"add", "now"}, ""},
		{"some of the server's", `"tools":[{"type":"mcp","server_label":"windlass","allowed_tools":["now"]}]`, []string{"now"}, ""},
		{"none of the server's", `"tools":[{"type":"mcp","server_label":"windlass","allowed_tools":[]}]`, nil, ""},
		{"by a filter", `"tools":[{"type":"mcp","server_label":"windlass","allowed_tools":{"tool_names":["add"]}}]`, []string{"add"}, ""},
		{"all, by null", `"tools":[{"type":"mcp","server_label":"windlass","allowed_tools":null}]`, []string{"add", "now"}, ""},
		{"one that is not registered", `"tools":[{"type":"mcp","server_label":"windlass","allowed_tools":["rm"]}]`, nil, "tools[0].allowed_tools"},
		{"another server", `"tools":[{"type":"mcp","server_label":"other"}]`, nil, "tools[0].server_label"},
		{"another filter", `"tools":[{"type":"mcp","server_label":"windlass","allowed_tools":{"read_only":true}}]`, nil, "tools[0].allowed_tools"},
		{"a function", `"tools":[` + function + `]`, []string{"ask"}, ""},
		{"a function in a registered tool's place", `"tools":[` + hosted + `,{"type":"function","name":"add"}]`, []string{"add", "now"}, ""},
		{"types that nobody can carry", `"tools":[{"type":"web_search"},` + function + `]`, []string{"ask"}, ""},
		{"allowed: a function", `"tools":[` + hosted + `,` + function + `],"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"ask"}]}`, []string{"ask"}, ""},
		{"allowed: the server", `"tools":[` + hosted + `,` + function + `],"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[` + hosted + `]}`, []string{"add", "now"}, ""},
		{"allowed: one of it", `"tools":[` + hosted + `],"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"mcp","server_label":"windlass","name":"now"}]}`, []string{"now"}, ""},
		{"allowed: nothing", `"tools":[` + hosted + `],"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[]}`, nil, ""},
		{"forced: the server", `"tools":[` + hosted + `,` + function + `],"tool_choice":` + hosted, []string{"add", "now"}, ""},
		{"forced: one tool", `"tools":[` + hosted + `,` + function + `],"tool_choice":{"type":"function","name":"ask"}`, []string{"ask", "add", "now"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Resolve(decode(t, tt.fields), newRegistry(t))
			var refusal *Refusal
			if errors.As(err, &refusal) != (tt.param != "") || refusal != nil && refusal.Param != tt.param {
				t.Fatalf("error %v, want one of %q", err, tt.param)
			}
			if err != nil {
				return
			}
			var names []string
			for _, o := range got.Offers {
				names = append(names, o.Name)
			}
			if diff := cmp.Diff(tt.offers, names); diff != "" {
				t.Errorf("offers (-want +got):\n%s", diff)
			}
		})
	}
}

// Custom tools are the client's: they are offered where the model's upstream
// can be given them, and nowhere else.
func TestCustomTools(t *testing.T) {
	t.Parallel()
	reg, err := registry.New(registry.File{
		Models: []registry.Model{
			{Name: "m", Upstream: registry.Upstream{URL: "http://h", Dialect: registry.Responses}}, {Name: "chat", Upstream: registry.Upstream{URL: "http://h"}},
		},
		Tools: []registry.Tool{{Name: "add", URL: "http://127.0.0.1:1/add"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	const patch, add = `{"type":"custom","name":"patch","format":{"type":"text"}}`, `{"type":"custom","name":"add"}`
	for _, tt := range []struct {
		name   string
		fields string
		model  string
		offers []string
		custom bool // patch
		param  string
	}{
		{"one", `"tools":[` + patch + `]`, "m", []string{"patch"}, true, ""},
		{"one that cannot be carried", `"tools":[` + patch + `]`, "chat", nil, false, ""},
		{"one that has to be called", `"tools":[` + patch + `],"tool_choice":{"type":"custom","name":"patch"}`, "m", []string{"patch"}, true, ""},
		{"one that has to be called and cannot be carried", `"tools":[` + patch + `],"tool_choice":{"type":"custom","name":"patch"}`, "chat", nil, false, "tool_choice"},
		{"one that is not allowed", `"tools":[` + patch + `,` + function + `],"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"ask"}]}`, "m", []string{"ask"}, false, ""},
		{"none may be called", `"tools":[` + patch + `],"tool_choice":"none"`, "m", []string{"patch"}, false, ""},
		{"in a registered tool's place", `"tools":[` + hosted + `,` + add + `]`, "m", []string{"add"}, false, ""},
		{"without a name", `"tools":[{"type":"custom"}]`, "m", nil, false, ""},
		{"in a namespace", `"tools":[{"type":"namespace","name":"crm","tools":[` + patch + `]}]`, "m", []string{"crm"}, false, ""},
		{"in a namespace that cannot be carried", `"tools":[{"type":"namespace","name":"crm","tools":[` + patch + `]}]`, "chat", nil, false, ""},
		{"a type that is run elsewhere", `"tools":[{"type":"web_search"},{"type":"shell","name":"sh"}]`, "m", nil, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := decode(t, tt.fields)
			r.Model = tt.model
			s, err := Resolve(r, reg)
			if err != nil {
				t.Fatal(err)
			}
			var offers []string
			for _, o := range s.Offers {
				offers = append(offers, o.Name)
				if (o.Given != nil) != (o.Name == "patch" || o.Name == "add" || o.Name == "crm") {
					t.Errorf("%s is offered as %s", o.Name, o.Given)
				}
			}
			if diff := cmp.Diff(tt.offers, offers); diff != "" || s.Custom("", "patch") != tt.custom || s.Client("", "patch") {
				t.Errorf("patch is custom: %v, want %v; offers (-want +got):\n%s", s.Custom("", "patch"), tt.custom, diff)
			}
			if s.Custom("crm", "patch") != (tt.name == "in a namespace") {
				t.Errorf("crm's patch is custom: %v", s.Custom("crm", "patch"))
			}
			var refusal *Refusal
			if err := Validate(r, reg); errors.As(err, &refusal) != (tt.param != "") || refusal != nil && refusal.Param != tt.param {
				t.Errorf("refused with %v, want param %q", err, tt.param)
			}
		})
	}
}

func TestListed(t *testing.T) {
	t.Parallel()
	for fields, want := range map[string][]string{
		`"tools":[]`:                              nil,
		`"tools":[` + function + `]`:              nil,
		`"tools":[` + hosted + `]`:                {"add", "now"},
		`"tools":[` + hosted + `,` + hosted + `]`: {"add", "now"},
		`"tools":[{"type":"mcp","server_label":"windlass","allowed_tools":["now"]}]`:                                                                    {"now"},
		`"tools":[{"type":"mcp","server_label":"windlass","allowed_tools":[]}]`:                                                                         {},
		`"tools":[` + hosted + `,{"type":"function","name":"add"}]`:                                                                                     {"now"},
		`"tools":[` + hosted + `],"tool_choice":"none"`:                                                                                                 {"add", "now"},
		`"tools":[` + hosted + `],"tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"mcp","server_label":"windlass","name":"now"}]}`: {"add", "now"},
	} {
		got, err := Resolve(decode(t, fields), newRegistry(t))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		if got.Listed != nil {
			names = []string{}
		}
		for _, l := range got.Listed {
			names = append(names, l.Name)
		}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("%s (-want +got):\n%s", fields, diff)
		}
	}
}

func TestToolsOfSomeModelsAreOfferedToThose(t *testing.T) {
	t.Parallel()
	upstream := registry.Upstream{URL: "http://127.0.0.1:1"}
	reg, err := registry.New(registry.File{
		Models: []registry.Model{{Name: "m", Upstream: upstream}, {Name: "demo", Upstream: upstream}},
		Tools:  []registry.Tool{{Name: "add", URL: "http://127.0.0.1:1/add", Models: []string{"demo"}}, {Name: "now", URL: "http://127.0.0.1:1/now"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		model, allowed string
		offers         int
		param          string // of the refusal
	}{
		{"m", "null", 1, ""}, {"demo", "null", 2, ""}, {"demo", `["add"]`, 1, ""}, {"m", `["add"]`, 0, "tools[0].allowed_tools"},
	} {
		r := decode(t, `"tools":[{"type":"mcp","server_label":"windlass","allowed_tools":`+tt.allowed+`}]`)
		r.Model = tt.model
		got, err := Resolve(r, reg)
		var refusal *Refusal
		if errors.As(err, &refusal) != (tt.param != "") || refusal != nil && refusal.Param != tt.param || err == nil && (len(got.Offers) != tt.offers || len(got.Listed) != tt.offers) {
			t.Errorf("model %s with %s: %d offers, refusal %v, want %d, %s", tt.model, tt.allowed, len(got.Offers), err, tt.offers, tt.param)
		}
	}
}
