package gateway

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/keys"
)

// tooled is a configuration with the registered tools a, b and c.
func tooled(tb testing.TB) func(*Config) {
	tb.Helper()
	return func(c *Config) {
		file := models(tb, time.Hour).File()
		for _, name := range []string{"a", "b", "c"} {
			file.Tools = append(file.Tools, registry.Tool{Name: name, URL: "http://127.0.0.1:1/"})
		}
		reg, err := registry.New(file)
		if err != nil {
			tb.Fatal(err)
		}
		c.Registry = reg
	}
}

func TestToolsOfAKey(t *testing.T) {
	t.Parallel()
	s := raise(t, tooled(t))
	some, _ := s.mint("t", func(n *keys.NewKey) { n.Tools = []string{"c", "a", "gone"} })
	none, _ := s.mint("t", func(n *keys.NewKey) { n.Tools = []string{} })
	all, _ := s.mint("t")
	const server = `{"type":"mcp","server_label":"windlass"`
	ask := func(key, tools, choice string) reply {
		return s.as(key, "POST", "/v1/responses", `{"model":"m","input":"hi","background":true,"tools":[`+tools+`]`+choice+`}`)
	}
	for _, tt := range []struct{ name, key, tools, choice, stored, param string }{ // stored: what is kept of the tools; param: of a refusal
		{"all of all", all, server + `}`, "", server + `}`, ""},
		{"one of all", all, server + `,"allowed_tools":["b"]}`, "", server + `,"allowed_tools":["b"]}`, ""},
		{"all of some", some, server + `}`, "", server + `,"allowed_tools":["a","c"]}`, ""},
		{"all of some, null", some, `{"allowed_tools":null,"type":"mcp","server_label":"windlass"}`, "", `{"allowed_tools":["a","c"],"type":"mcp","server_label":"windlass"}`, ""},
		{"one of some", some, server + `,"allowed_tools":["c"]}`, "", server + `,"allowed_tools":["c"]}`, ""},
		{"none of some", some, server + `,"allowed_tools":[]}`, "", server + `,"allowed_tools":[]}`, ""},
		{"all of none", none, server + `}`, "", server + `,"allowed_tools":[]}`, ""},
		{"functions of its own", none, `{"type":"function","name":"b"}`, "", `{"type":"function","name":"b"}`, ""},
		{"a choice of some", some, server + `}`, `,"tool_choice":{"type":"mcp","server_label":"windlass","name":"a"}`, server + `,"allowed_tools":["a","c"]}`, ""},

		{"another", some, server + `,"allowed_tools":["a","b"]}`, "", "", "tools[0].allowed_tools"},
		{"another by a filter", some, server + `,"allowed_tools":{"tool_names":["b"]}}`, "", "", "tools[0].allowed_tools"},
		{"another behind one", some, server + `},` + server + `,"allowed_tools":["b"]}`, "", "", "tools[1].allowed_tools"},
		{"one that is gone", some, server + `,"allowed_tools":["gone"]}`, "", "", "tools[0].allowed_tools"},
		{"any of none", none, server + `,"allowed_tools":["a"]}`, "", "", "tools[0].allowed_tools"},
		{"a choice of another", some, server + `}`, `,"tool_choice":{"type":"mcp","server_label":"windlass","name":"b"}`, "", "tool_choice"},
		{"a call demanded of none", none, server + `}`, `,"tool_choice":"required"`, "", "tool_choice"},
	} {
		r := ask(tt.key, tt.tools, tt.choice)
		if tt.param != "" {
			if f := r.fault(t); r.status != http.StatusBadRequest || f["param"] != tt.param {
				t.Errorf("%s answered %d %s, want 400 for %s", tt.name, r.status, r.body, tt.param)
			}
			continue
		}
		id, ok := run.ResponseID.Parse(createdID(t, r))
		body, err := s.answers.Body(t.Context(), "t", id)
		if want := `"tools":[` + tt.stored + `]`; !ok || err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%s: %s is kept, %v, want %s", tt.name, body, err, want)
		}
	}
	unknown, another := ask(some, server+`,"allowed_tools":["nowhere"]}`, ""), ask(some, server+`,"allowed_tools":["b"]}`, "")
	same(t, "the refusal of a tool that others may use", another.body, strings.Replace(string(unknown.body), "nowhere", "b", 1))
}

// What only some readers of JSON find must not widen what a key may do.
func TestToolsOfAKeyInCapitals(t *testing.T) {
	t.Parallel()
	s := raise(t, tooled(t))
	key, _ := s.mint("t", func(n *keys.NewKey) { n.Tools = []string{"a"} })
	for _, entry := range []string{
		`{"type":"mcp","server_label":"windlass","allowed_tools":["a"],"ALLOWED_TOOLS":null}`,
		`{"type":"mcp","server_label":"windlass","ALLOWED_TOOLS":["b"]}`,
		`{"type":"mcp","server_label":"windlass","allowed_tools":["b"],"allowed_tool\u0073":null}`,
	} {
		created := s.as(key, "POST", "/v1/responses", `{"model":"m","input":"hi","background":true,"tools":[`+entry+`]}`)
		tools := created.object(t)["tools"].([]any)
		allowed, ok := tools[0].(map[string]any)["allowed_tools"].([]any)
		if created.status != http.StatusOK || !ok || len(allowed) != 1 || allowed[0] != "a" {
			t.Errorf("%s became %v, want a allowed alone", entry, tools)
		}
	}
}

// TestToolsOfAKeyAreThoseOfTheModel: asking for all of them is no fault where
// some are for other models.
func TestToolsOfAKeyAreThoseOfTheModel(t *testing.T) {
	t.Parallel()
	s := raise(t, func(c *Config) {
		file := models(t, time.Hour).File()
		file.Tools = append(file.Tools,
			registry.Tool{Name: "a", URL: "http://127.0.0.1:1/"}, registry.Tool{Name: "b", URL: "http://127.0.0.1:1/", Models: []string{"b"}})
		reg, err := registry.New(file)
		if err != nil {
			t.Fatal(err)
		}
		c.Registry = reg
	})
	key, _ := s.mint("t", func(n *keys.NewKey) { n.Tools = []string{"a", "b"} })
	only, _ := s.mint("t", func(n *keys.NewKey) { n.Tools = []string{"b"} })
	for _, tt := range []struct {
		name, key, model, tool string
		status                 int
	}{
		{"all, of the model", key, "b", `{"type":"mcp","server_label":"windlass"}`, 200},
		{"all, of another model", key, "m", `{"type":"mcp","server_label":"windlass"}`, 200},
		{"all, of which the model has none", only, "m", `{"type":"mcp","server_label":"windlass"}`, 200},
		{"one of another model", key, "m", `{"type":"mcp","server_label":"windlass","allowed_tools":["b"]}`, 400},
		{"one of another model, with every right", testKey, "m", `{"type":"mcp","server_label":"windlass","allowed_tools":["b"]}`, 400},
	} {
		r := s.as(tt.key, "POST", "/v1/responses", `{"model":"`+tt.model+`","input":"hi","background":true,"tools":[`+tt.tool+`]}`)
		if r.status != tt.status {
			t.Errorf("%s: answered %d %s, want %d", tt.name, r.status, r.body, tt.status)
		}
		if tt.status == 400 && r.fault(t)["param"] != "tools[0].allowed_tools" {
			t.Errorf("%s: refused with %s", tt.name, r.body)
		}
	}
}
