package registry

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// model and tool are valid entries for a list, to which cases add.
const (
	model = "models:\n  - name: m\n    upstream: {url: http://h}\n"
	tool  = "tools:\n  - name: t\n    url: http://h\n"
)

func TestParseFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		yaml string
		want []string // beginnings of the faults, in order
	}{
		{"empty", "", []string{"f:1:1: want one YAML document"}},
		{"two documents", model + "---\n" + model, []string{"f:1:1: want one YAML document"}},
		{"not a mapping", "- a\n", []string{"f:1:1: want one YAML document"}},
		{"syntax", "models:\n  - name: [\n", []string{"f:2:11: "}},
		{"double key", "models:\n  - name: a\n    name: b\n", []string{`f:3:5: mapping key "name" already defined`}},
		{"unknown part", model + "models2: []\n", []string{"f:4:1: models2 is unknown"}},
		{"unknown field", model + "    lanes: x\n", []string{`f:4:5: models[0] unknown field "lanes"`}},
		{
			"unknown field, deep", "models:\n  - name: m\n    upstream:\n      urll: http://h\n",
			[]string{`f:4:7: models[0] unknown field "urll"`},
		},
		{"not a list", "models: {a: 1}\n", []string{"f:1:9: models is no list"}},
		{"entry is no mapping", "models: [a]\n", []string{"f:1:10: models[0] "}},
		{"wrong type", model + "    attempts: many\n", []string{"f:4:15: models[0] has a string where a whole number belongs"}},
		{"not a duration", model + "    timeout: soon\n", []string{"f:4:14: models[0].timeout is no duration"}},
		{"duration without unit", model + "    timeout: 10\n", []string{"f:4:14: models[0] has a whole number where a duration belongs"}},
		{"zero written out", model + "    concurrency: 0\n    timeout: 0s\n", []string{
			"f:4:18: models[0].concurrency is 0; leave it out", "f:5:14: models[0].timeout is 0; leave it out",
		}},
		{
			"name missing", "models:\n  - lane: x\n    upstream: {url: http://h}\n",
			[]string{`f:2:5: models[0].name is ""`},
		},
		{"url missing", "models:\n  - name: m\n", []string{"f:2:5: models[0].upstream.url is missing"}},
		{"out of range", model + "    concurrency: 10001\n    attempts: -1\n    timeout: 48h\n", []string{
			"f:4:18: models[0].concurrency is 10001, want 1 to 10000",
			"f:5:15: models[0].attempts is -1, want 1 to 100",
			"f:6:14: models[0].timeout is 48h0m0s",
		}},
		{"an option of another dialect", "models:\n  - name: m\n    upstream: {url: http://h, no_encrypted_reasoning: true}\n", []string{"f:3:55: models[0].upstream.no_encrypted_reasoning is only for the dialect responses"}},
		{"lane is no token", model + "    lane: a.b\n", []string{`f:4:11: models[0].lane is "a.b"`}},
		{
			"double model", model + "  - name: m\n    upstream: {url: http://h}\n",
			[]string{`f:4:11: models[1].name is "m", as another model's`},
		},
		{
			"a lane of two widths", model + "    lane: l\n    concurrency: 2\n" +
				"  - name: n\n    upstream: {url: http://h}\n    lane: l\n    concurrency: 3\n",
			[]string{"f:9:18: models[1].concurrency is 3, but lane l has 2"},
		},
		{
			"dialect", "models:\n  - name: m\n    upstream: {url: http://h, dialect: soap}\n",
			[]string{`f:3:40: models[0].upstream.dialect is "soap", want chat or responses`},
		},
		{
			"bad schema", tool + "    parameters:\n      type: object\n      properties: {a: {type: strin}}\n",
			[]string{"f:5:7: tools[0].parameters is no JSON Schema: at /properties/a/type"},
		},
		{
			"schema of no object", tool + "    parameters: {type: string}\n",
			[]string{"f:4:17: tools[0].parameters is not a schema of type object"},
		},
		{
			"schema elsewhere", tool + "    parameters: {type: object, properties: {a: {$ref: 'file:///etc/passwd'}}}\n",
			[]string{"f:4:17: tools[0].parameters is no JSON Schema: "},
		},
		{
			"schema with a bad pattern", tool + "    parameters: {type: object, properties: {a: {pattern: '('}}}\n",
			[]string{"f:4:17: tools[0].parameters is no JSON Schema: "},
		},
		{
			"double tool", tool + "  - name: t\n    url: http://h\n",
			[]string{`f:4:11: tools[1].name is "t", as another tool's`},
		},
		{"tool fields", "tools:\n  - name: a b\n    url: ftp://h\n    method: GET\n    pool: a/b\n" +
			"    effect: never\n    max_output_bytes: 786433\n", []string{
			`f:2:11: tools[0].name is "a b"`, "f:3:10: tools[0].url is no http or https URL",
			`f:4:13: tools[0].method is "GET"`, `f:5:11: tools[0].pool is "a/b"`,
			`f:6:13: tools[0].effect is "never"`, "f:7:23: tools[0].max_output_bytes is 786433, want 1 to 786432",
		}},
		{
			"at most once, three times", tool + "    effect: at_most_once\n    attempts: 3\n",
			[]string{"f:5:15: tools[0].attempts is 3, but an at_most_once tool is attempted once"},
		},
		{"limits", "limits:\n  max_turns: -1\n  max_tokens: -1\n  deadline: 1000h\n", []string{
			"f:2:14: limits.max_turns is -1", "f:3:15: limits.max_tokens is -1", "f:4:13: limits.deadline is 1000h0m0s",
		}},
		{"tenants", model + "tenants:\n  - name: A\n    requests_per_minute: -1\n    tokens_per_minute: 1000000001\n    in_flight: 10001\n" +
			"    weight: 101\n    models: [m, n, '*']\n", []string{
			`f:5:11: tenants[0].name is "A", want 1 to 63 of a-z`, "f:6:26: tenants[0].requests_per_minute is -1, want 1 to 1000000",
			"f:7:24: tenants[0].tokens_per_minute is 1000000001, want 1 to", "f:8:16: tenants[0].in_flight is 10001, want 1 to 10000",
			"f:9:13: tenants[0].weight is 101, want 0.01 to 100", `f:10:17: tenants[0].models[1] is "n", which is no model`,
			`f:10:20: tenants[0].models[2] is "*"`,
		}},
		{"names that are near", "models:\n  - name: m\n    upstreem: {url: http://h}\n  - name: n\n    upstream: {url: http://h, modell: x}\ntools:\n  - name: t\n    allow-private: true\n  - name: u\n    wholly_different: 1\n", []string{
			`f:3:5: models[0] unknown field "upstreem", did you mean upstream?`, `f:5:31: models[1] unknown field "modell", did you mean model?`,
			`f:8:5: tools[0] unknown field "allow-private", did you mean allow_private?`, `f:10:5: tools[1] unknown field "wholly_different"`,
		}},
		{"a tab", "models:\n\t- name: m\n", []string{"f:2:1: begins with a tab; YAML is indented with spaces"}},
		{"a URL without a scheme", "models:\n  - name: m\n    upstream: {url: localhost:8000/v1}\n", []string{"f:3:21: models[0].upstream.url has no scheme; write http:// or https:// before it"}},
		{"tools of models", model + tool + "    models: [m, n, '*']\n  - name: u\n    url: http://h\n    models: []\n", []string{
			`f:7:17: tools[0].models[1] is "n", which is no model`, `f:7:20: tools[0].models[2] is "*"`, "f:10:13: tools[1].models is empty; leave it out for all",
		}},
		{"tenants without", "tenants:\n  - weight: .nan\n    models: []\n  - name: a\n    in_flight: 0\n    weight: 0.0\n  - name: a\n", []string{
			`f:2:5: tenants[0].name is ""`, "f:2:13: tenants[0].weight is NaN", "f:3:13: tenants[0].models is empty; leave it out for all",
			"f:5:16: tenants[1].in_flight is 0; leave it out", "f:6:13: tenants[1].weight is 0; leave it out",
			`f:7:11: tenants[2].name is "a", as another tenant's`,
		}},
		{"tenants of the wrong types", "tenants:\n  - name: a\n    in_flight: many\n  - name: b\n    models: small\n  - name: c\n    rpm: 1\n", []string{
			"f:3:16: tenants[0] has a string where a whole number belongs", "f:5:13: tenants[1] ", `f:7:5: tenants[2] unknown field "rpm"`,
		}},
		{"one entry's fault does not hide another's", "models:\n  - name: m\n    atempts: 1\n" +
			"  - name: n\n    lane: a b\n    upstream: {url: http://h}\ntools:\n  - name: t\n    timeout: x\n", []string{
			`f:3:5: models[0] unknown field "atempts"`, `f:5:11: models[1].lane is "a b"`, "f:9:14: tools[0].timeout is no duration",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := Parse("f", []byte(tt.yaml))
			if r != nil || err == nil {
				t.Fatalf("Parse = %v, %v, want faults", r, err)
			}
			faults := strings.Split(err.Error(), "\n")
			if len(faults) != len(tt.want) {
				t.Fatalf("Parse gave %d faults, want %d:\n%v", len(faults), len(tt.want), err)
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(faults[i], want) {
					t.Errorf("fault %d = %q, want it to begin with %q", i, faults[i], want)
				}
			}
		})
	}
}

// TestFaultsKeepSecrets holds that what people paste where a reference belongs
// is not repeated in a fault, which is logged.
func TestFaultsKeepSecrets(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		yaml string
	}{
		{"password in a URL", "models:\n  - name: m\n    upstream: {url: 'http://u:sk-1@h'}\n"},
		{"URL that does not parse", "models:\n  - name: m\n    upstream: {url: 'http://u:sk-1@h:x/%zz'}\n"},
		{"key as a variable", tool + "    credential: {env: 'sk-1'}\n"},
		{"key as a file", tool + "    credential: {file: 'sk-1'}\n"},
		{"both", tool + "    credential: {file: '/sk-1', env: A}\n"},
		{"key itself", tool + "    credential: sk-1\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("f", []byte(tt.yaml))
			var fault *Fault
			if !errors.As(err, &fault) || fault.Line < 3 {
				t.Fatalf("Parse = %v, want a fault at its line", err)
			}
			if strings.Contains(err.Error(), "sk-1") {
				t.Errorf("fault repeats the secret: %v", err)
			}
		})
	}
}

func TestNewReportsPathsOnly(t *testing.T) {
	t.Parallel()
	_, err := New(File{Tools: []Tool{{Name: "t"}}, Limits: Limits{MaxTurns: -1}})
	want := "tools[0].url is missing\nlimits.max_turns is -1, want 1 to 1099511627776"
	if err == nil || err.Error() != want {
		t.Errorf("New = %v, want %s", err, want)
	}
}

func TestNewIsLikeParse(t *testing.T) {
	t.Parallel()
	built, err := New(File{
		Models: []Model{{Name: "m", Upstream: Upstream{URL: "http://h"}}},
		Tools:  []Tool{{Name: "t", URL: "http://h"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := Parse("f", []byte(model+tool))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(built.Models(), parsed.Models()); diff != "" {
		t.Errorf("models differ (-New +Parse):\n%s", diff)
	}
	if diff := cmp.Diff(built.Limits(), parsed.Limits()); diff != "" {
		t.Errorf("limits differ (-New +Parse):\n%s", diff)
	}
}

func TestLoadReportsAMissingFile(t *testing.T) {
	t.Parallel()
	if _, err := Load("testdata/none.yaml"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Load = %v, want os.ErrNotExist", err)
	}
}

func FuzzParse(f *testing.F) {
	good, err := os.ReadFile("testdata/good.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(good))
	f.Add("models: &a [*a]\n")
	f.Add("tools:\n- parameters: &p {type: object, properties: *p}\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Parse("f", []byte(text))
		if (r == nil) == (err == nil) {
			t.Errorf("Parse = %v, %v, want one of both", r, err)
		}
	})
}
