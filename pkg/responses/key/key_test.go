package key

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/responses/fault"
)

func TestDecode(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]Create{
		``:   {Scopes: []string{"a"}},
		`{}`: {Scopes: []string{"a"}},
		`{"name":null,"scopes":null,"models":null,"tools":null,"expires_in":null,"new":1}`: {Scopes: []string{"a"}},
		`{"name":"ci","scopes":["b","a"],"models":["m"],"tools":[],"expires_in":60}`: {
			Name: "ci", Scopes: []string{"b", "a"}, Models: []string{"m"}, Tools: []string{}, TTL: time.Minute,
		},
	} {
		got, f := Decode([]byte(body), "a", "b")
		if f != nil {
			t.Errorf("%s: %s", body, f.JSON())
			continue
		}
		if diff := cmp.Diff(want, *got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
}

func TestDecodeFaults(t *testing.T) {
	t.Parallel()
	many := `["x"` + strings.Repeat(`,"x"`, maxNames) + `]`
	for body, want := range map[string][2]string{ // param and code
		`{`:                        {"", ""},
		`[]`:                       {"", "invalid_type"},
		`{"name":1}`:               {"name", "invalid_type"},
		`{"name":"\u0000"}`:        {"name", "invalid_value"},
		`{"name":"` + many + `"}`:  {"", ""},
		`{"scopes":"a"}`:           {"scopes", "invalid_type"},
		`{"scopes":[]}`:            {"scopes", "empty_array"},
		`{"scopes":["c"]}`:         {"scopes[0]", "invalid_value"},
		`{"scopes":["a","a","a"]}`: {"scopes", "array_above_max_length"},
		`{"models":[]}`:            {"models", "empty_array"},
		`{"models":["m",""]}`:      {"models[1]", "empty_string"},
		`{"models":["a\nb"]}`:      {"models[0]", "invalid_value"},
		`{"models":` + many + `}`:  {"models", "array_above_max_length"},
		`{"tools":[1]}`:            {"tools[0]", "invalid_type"},
		`{"expires_in":0}`:         {"expires_in", "integer_below_min_value"},
		`{"expires_in":315360001}`: {"expires_in", "integer_above_max_value"},
		`{"expires_in":1.5}`:       {"expires_in", "invalid_type"},
		`{"name":"` + strings.Repeat("x", 129) + `"}`: {"name", "string_above_max_length"},
	} {
		_, f := Decode([]byte(body), "a", "b")
		if f == nil || f.Status != 400 || f.Param != want[0] || f.Code != want[1] {
			t.Errorf("%.60s: %+v, want 400 with %q", body, f, want)
		}
	}
}

func TestWithin(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		asked         Create
		models, tools []string
		want          Create
		param         string // of a refusal
	}{
		"a maker without bounds":          {asked: Create{Models: []string{"m"}}, want: Create{Models: []string{"m"}}},
		"what is left out is the maker's": {models: []string{"m"}, tools: []string{}, want: Create{Models: []string{"m"}, Tools: []string{}}},
		"less than the maker":             {asked: Create{Models: []string{"m"}, Tools: []string{}}, models: []string{"n", "m"}, tools: []string{"t"}, want: Create{Models: []string{"m"}, Tools: []string{}}},
		"another model":                   {asked: Create{Models: []string{"m", "x"}}, models: []string{"m"}, param: "models[1]"},
		"another tool":                    {asked: Create{Tools: []string{"x"}}, tools: []string{"t"}, param: "tools[0]"},
		"a tool of none":                  {asked: Create{Tools: []string{"x"}}, tools: []string{}, param: "tools[0]"},
	} {
		got := tt.asked
		f := got.Restrict(tt.models, tt.tools)
		if tt.param != "" {
			if f == nil || f.Param != tt.param || f.Code != "invalid_value" {
				t.Errorf("%s: %+v, want %s refused", name, f, tt.param)
			}
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || f != (*fault.Error)(nil) {
			t.Errorf("%s: %v (-want +got):\n%s", name, f, diff)
		}
	}
}
