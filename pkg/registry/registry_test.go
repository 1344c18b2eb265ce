package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func load(tb testing.TB) *Registry {
	tb.Helper()
	r, err := Load(filepath.Join("testdata", "good.yaml"))
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func TestModels(t *testing.T) {
	t.Parallel()
	r := load(t)
	gpu := Model{
		Name: "qwen3-32b",
		Upstream: Upstream{
			URL: "http://models.internal:8000/v1", Dialect: "chat",
			Credential: Credential{Env: "QWEN_KEY"}, Model: "qwen3-32b",
		},
		Lane: "gpu", Concurrency: 16, Timeout: 10 * time.Minute, Attempts: 5,
	}
	merged := gpu
	merged.Name, merged.Upstream.Model, merged.Attempts = "Qwen/Qwen3.5", "Qwen/Qwen3.5", 2
	anything := Model{
		Name:     "any/thing",
		Upstream: Upstream{URL: "http://router.internal/v1", Dialect: "chat", Model: "any/thing"},
		Lane:     "default", Concurrency: 64, Timeout: 10 * time.Minute, Attempts: 5,
	}
	tests := []struct {
		name string
		want Model
	}{
		{"qwen3-32b", gpu},
		{"Qwen/Qwen3.5", merged},
		{"gpt-4.1", Model{
			Name: "gpt-4.1",
			Upstream: Upstream{
				URL: "https://api.example.com/v1", Dialect: "chat",
				Credential: Credential{File: "/run/secrets/example"}, Model: "gpt-4.1-2026",
			},
			Lane: laneOf("gpt-4.1"), Concurrency: 64, Timeout: 90 * time.Second, Attempts: 5,
		}},
		{"any/thing", anything},
	}
	for _, tt := range tests {
		got, ok := r.Model(tt.name)
		if diff := cmp.Diff(tt.want, got); diff != "" || !ok {
			t.Errorf("Model(%q) = _, %v, differs (-want +got):\n%s", tt.name, ok, diff)
		}
	}
	for _, name := range []string{"", "a b", "a\nb", strings.Repeat("x", 257)} {
		if m, ok := r.Model(name); ok {
			t.Errorf("Model(%q) = %+v by the wildcard, want none", name, m)
		}
	}

	wantLanes := []Lane{{"default", 64}, {laneOf("gpt-4.1"), 64}, {"gpu", 16}}
	if diff := cmp.Diff(wantLanes, r.Lanes()); diff != "" {
		t.Errorf("Lanes differ (-want +got):\n%s", diff)
	}
	var names []string
	for _, m := range r.Models() {
		names = append(names, m.Name)
	}
	if diff := cmp.Diff([]string{"*", "Qwen/Qwen3.5", "gpt-4.1", "qwen3-32b"}, names); diff != "" {
		t.Errorf("Models differ (-want +got):\n%s", diff)
	}
}

func TestModelWithoutWildcard(t *testing.T) {
	t.Parallel()
	r, err := New(File{Models: []Model{{Name: "m", Upstream: Upstream{URL: "http://h"}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"n", "*", ""} {
		if m, ok := r.Model(name); ok {
			t.Errorf("Model(%q) = %+v, want none", name, m)
		}
	}
}

func TestTools(t *testing.T) {
	t.Parallel()
	r := load(t)
	want := []Tool{
		{
			Name: "note", URL: "http://notes.internal/", Parameters: Schema(`{"type":"object","properties":{}}`),
			Pool: "default", Method: "POST", Timeout: time.Minute, Attempts: 3, Effect: AtLeastOnce,
			MaxOutputBytes: 262144,
		},
		{
			Name: "pay", URL: "http://127.0.0.1:9000/pay", Parameters: Schema(`{"type":"object","properties":{}}`),
			Pool: "default", Method: "PUT", Timeout: time.Minute, Attempts: 1, Effect: AtMostOnce,
			MaxOutputBytes: 786432, AllowPrivate: true,
		},
		{
			Name: "search", Description: "Searches the web.\n", URL: "https://tools.example.com/search?lang=en",
			Parameters: Schema(`{"type":"object","properties":{"query":{"type":"string","minLength":1},` +
				`"limit":{"type":"integer","maximum":50,"default":10},` +
				`"among":{"type":"array","items":{"type":"string","pattern":"^[a-z]+$"}}},` +
				`"required":["query"],"additionalProperties":false}`),
			Pool: "browser", Method: "POST", Timeout: time.Minute, Attempts: 3, Effect: Idempotent,
			MaxOutputBytes: 262144,
		},
	}
	text := cmp.Transformer("text", func(s Schema) string { return string(s) })
	if diff := cmp.Diff(want, r.Tools(), cmpopts.IgnoreUnexported(Tool{}), text); diff != "" {
		t.Errorf("Tools differ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"browser", "default"}, r.Pools()); diff != "" {
		t.Errorf("Pools differ (-want +got):\n%s", diff)
	}
	if _, ok := r.Tool("Search"); ok {
		t.Error("Tool(Search) was found, want names to be case-sensitive")
	}
	search, ok := r.Tool("search")
	if got := string(search.ParametersJSON()); !ok || got != string(want[2].Parameters) {
		t.Errorf("ParametersJSON = %s, %v", got, ok)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	want := Limits{
		MaxTurns: 12, MaxToolCalls: 1000, MaxParallelToolCalls: 128, MaxDepth: 8,
		MaxOutputBytes: 64 << 20, Deadline: 30 * time.Minute,
	}
	if diff := cmp.Diff(want, load(t).Limits()); diff != "" {
		t.Errorf("Limits differ (-want +got):\n%s", diff)
	}
}

func TestTenants(t *testing.T) {
	t.Parallel()
	r := load(t)
	everyone := Tenant{Name: "*", RequestsPerMinute: 60, InFlight: 10, Weight: 1, Models: []string{"qwen3-32b"}}
	other := everyone
	other.Name = "other"
	acme := Tenant{
		Name: "acme", RequestsPerMinute: 600, TokensPerMinute: 200_000, InFlight: 10, Weight: 2.5, Models: []string{"qwen3-32b", "any/thing"},
	}
	for name, want := range map[string]Tenant{"acme": acme, "other": other} {
		if diff := cmp.Diff(want, r.Tenant(name)); diff != "" {
			t.Errorf("Tenant(%q) differs (-want +got):\n%s", name, diff)
		}
	}
	if diff := cmp.Diff([]Tenant{everyone, acme}, r.Tenants()); diff != "" {
		t.Errorf("Tenants differ (-want +got):\n%s", diff)
	}
	again, err := New(r.File())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r.Tenants(), again.Tenants()); diff != "" {
		t.Errorf("Tenants after New(File()) differ (-first +second):\n%s", diff)
	}
	unlimited, err := New(File{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Tenant{Name: "a", Weight: 1}, unlimited.Tenant("a")); diff != "" {
		t.Errorf("a tenant without any limits differs (-want +got):\n%s", diff)
	}
}

func TestOnlySomeTools(t *testing.T) {
	t.Parallel()
	r := load(t)
	for _, tt := range []struct{ ask, want []string }{
		{[]string{"pay", "none", "note"}, []string{"note", "pay"}}, {nil, nil}, {[]string{"Search", "search "}, nil},
	} {
		some := r.Only(tt.ask)
		var got []string
		for _, tool := range some.Tools() {
			got = append(got, tool.Name)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("Only(%q) differs (-want +got):\n%s", tt.ask, diff)
		}
		if _, ok := some.Tool("search"); ok {
			t.Errorf("Only(%q) has search", tt.ask)
		}
		if len(some.Models()) != len(r.Models()) || len(r.Tools()) != 3 {
			t.Errorf("Only(%q) changed more than the tools of what it returned", tt.ask)
		}
	}
}

func TestSameButTenants(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join("testdata", "good.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	r := load(t)
	for name, tt := range map[string]struct {
		from, to string
		want     bool
	}{
		"the same":         {"", "", true},
		"a tenant's limit": {"requests_per_minute: 600", "requests_per_minute: 601", true},
		"a lane's width":   {"concurrency: 16", "concurrency: 17", false},
		"a schema":         {"maximum: 50", "maximum: 51", false},
		"a budget":         {"max_turns: 12", "max_turns: 13", false},
		"a credential":     {"env: QWEN_KEY", "env: QWEN_KEY2", false},
	} {
		other, err := Parse("f", []byte(strings.Replace(string(data), tt.from, tt.to, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if got := r.SameButTenants(other); got != tt.want {
			t.Errorf("SameButTenants with another %s = %v, want %v", name, got, tt.want)
		}
	}
}

func TestValidateArguments(t *testing.T) {
	t.Parallel()
	search, _ := load(t).Tool("search")
	note, _ := load(t).Tool("note")
	tests := []struct {
		name      string
		tool      Tool
		arguments string
		want      []string // parts of the message; none: valid
	}{
		{"valid", search, `{"query":"x","limit":10,"among":["a"]}`, nil},
		{"any object where none is declared", note, `{"x":1}`, nil},
		{"empty", note, ` `, []string{"they are missing"}},
		{"not JSON", search, `{"query":`, []string{"not JSON"}},
		{"two values", search, `{"query":"x"} {}`, []string{"not JSON"}},
		{"not an object", search, `[1]`, []string{"at /: got array, want object"}},
		{"missing", search, `{}`, []string{"at /: missing property 'query'"}},
		{"wrong type, deep", search, `{"query":"x","among":["a",2]}`, []string{"at /among/1: got number, want string"}},
		{"huge number", search, `{"query":"x","limit":1e400}`, []string{"at /limit"}},
		{
			"many faults", search, `{"query":"","limit":99,"among":[1,2,3]}`,
			[]string{"at /among/0", "at /among/1", "and 2 more"},
		},
		{"nested too deep", search, strings.Repeat("[", 100_000), []string{"not JSON"}},
		{"a tool that no registry returned", Tool{}, `{}`, []string{"not compiled"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := tt.tool.ValidateArguments([]byte(tt.arguments))
			if tt.want == nil {
				if err != nil {
					t.Errorf("ValidateArguments = %v, want nil", err)
				}
				return
			}
			if !errors.Is(err, ErrArguments) {
				t.Fatalf("ValidateArguments = %v, want ErrArguments", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("message lacks %q: %s", want, err)
				}
			}
			if strings.Contains(err.Error(), "\n") || len(err.Error()) > 2*maxShownBytes {
				t.Errorf("message is not one short line: %s", err)
			}
		})
	}
}

func TestArgumentsMessageIsStable(t *testing.T) {
	t.Parallel()
	search, _ := load(t).Tool("search")
	arguments := []byte(`{"a":1,"b":2,"c":3,"limit":"é` + strings.Repeat("é", 500) + `"}`)
	first := search.ValidateArguments(arguments).Error()
	for range 20 {
		if got := search.ValidateArguments(arguments).Error(); got != first {
			t.Fatalf("message changed from\n%s\nto\n%s", first, got)
		}
	}
}

func TestLaneOf(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 300)
	models := []string{"gpt-4.1", "gpt-4_1", "gpt-4-1", "org/model", "org.model", "*", long, long + "x"}
	seen := map[string]string{}
	for _, model := range models {
		lane := laneOf(model)
		if !legalToken.MatchString(lane) {
			t.Errorf("laneOf(%q) = %q, not a legal token", model, lane)
		}
		if other, ok := seen[lane]; ok {
			t.Errorf("laneOf(%q) = laneOf(%q) = %q", model, other, lane)
		}
		seen[lane] = model
	}
	if got := laneOf("gpt-4_1"); got != "gpt-4_1" {
		t.Errorf("laneOf(gpt-4_1) = %q, want it unchanged", got)
	}
}

func TestCredential(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("REGISTRY_TEST_KEY", " sk-1 \n")
	t.Setenv("REGISTRY_TEST_EMPTY", "")
	tests := []struct {
		name    string
		ref     Credential
		want    string
		wantErr error
	}{
		{"none", Credential{}, "", nil},
		{"environment", Credential{Env: "REGISTRY_TEST_KEY"}, "sk-1", nil},
		{"unset variable", Credential{Env: "REGISTRY_TEST_UNSET"}, "", ErrNoSecret},
		{"empty variable", Credential{Env: "REGISTRY_TEST_EMPTY"}, "", ErrNoSecret},
		{"file", Credential{File: write("key", "sk-2\n")}, "sk-2", nil},
		{"empty file", Credential{File: write("empty", "\n")}, "", ErrNoSecret},
		{"missing file", Credential{File: filepath.Join(dir, "no")}, "", os.ErrNotExist},
	}
	for _, tt := range tests { //nolint:paralleltest // t.Setenv
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.ref.Resolve()
			if got != tt.want || !errors.Is(err, tt.wantErr) {
				t.Errorf("Resolve = %q, %v, want %q, %v", got, err, tt.want, tt.wantErr)
			}
		})
	}
	if _, err := (Credential{File: write("big", strings.Repeat("x", maxSecretBytes+1))}).Resolve(); err == nil {
		t.Error("Resolve of a file of more than 64 KiB = nil error, want one")
	}
}

func TestCredentialIsNotPrinted(t *testing.T) {
	t.Parallel()
	pasted := Model{Upstream: Upstream{Credential: Credential{Env: "sk-pasted", File: "/sk-pasted"}}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, pasted); strings.Contains(text, "sk-pasted") {
			t.Errorf("%s of a model shows its reference: %s", verb, text)
		}
	}
}

// FuzzValidateArguments: what a tool is given is JSON that its schema takes;
// what is refused is said in one short line of text, for the model.
func FuzzValidateArguments(f *testing.F) {
	for _, s := range []string{
		`{"query":"x","limit":10,"among":["a"]}`, `{"query":"x","limit":1e400}`, `{"query":"\u0000\ud800","x\n":1}`, ` `, `null`, `[[[`, "{\"query\":\"\xff\"}",
		`{"query":"x"} {}`, `{"query":"x","query":1}`, `{"among":[1,2,3,4]}`, `{"a":{"b":[{"c":1}]}}`,
	} {
		f.Add([]byte(s))
	}
	reg := load(f)
	f.Fuzz(func(t *testing.T, arguments []byte) {
		for _, name := range []string{"search", "note"} {
			tool, _ := reg.Tool(name)
			err := tool.ValidateArguments(arguments)
			if err == nil {
				if !json.Valid(arguments) || bytes.TrimSpace(arguments)[0] != '{' {
					t.Errorf("%s takes %q, which is no object", name, arguments)
				}
				continue
			}
			if text := err.Error(); !errors.Is(err, ErrArguments) || strings.ContainsAny(text, "\r\n\x00") || len(text) > 2*maxShownBytes || !utf8.ValidString(text) {
				t.Errorf("%s refuses %q with %q", name, arguments, text)
			}
		}
	})
}
