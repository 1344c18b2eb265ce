package registry

import (
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProfileOfAHost(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"https://api.openai.com/v1":                                   OpenAI,
		"https://eu.api.openai.com/v1":                                OpenAI,
		"https://API.OpenAI.com:443/v1":                               OpenAI,
		"https://notapi.openai.com.evil.example/v1":                   Compatible,
		"https://myapi.openai.com/v1":                                 Compatible,
		"https://x.openai.azure.com/openai/v1":                        Azure,
		"https://x.services.ai.azure.com/models":                      Azure,
		"https://api.mistral.ai/v1":                                   Mistral,
		"https://generativelanguage.googleapis.com/v1beta/openai":     Gemini,
		"https://us-central1-aiplatform.googleapis.com/v1/x":          Gemini,
		"https://api.deepseek.com":                                    DeepSeek,
		"https://openrouter.ai/api/v1":                                OpenRouter,
		"https://api.groq.com/openai/v1":                              Groq,
		"http://localhost:11434/v1":                                   Ollama,
		"http://gpu-1:11434/v1":                                       Ollama,
		"http://localhost:8000/v1":                                    Compatible,
		"http://h/?x=:11434":                                          Compatible,
		"http://[::1]:11434/v1":                                       Ollama,
		"%":                                                           Compatible,
		"http://proxy.internal/api.openai.com/v1":                     Compatible,
		"https://x.cognitiveservices.azure.com/openai/deployments/d":  Azure,
		"https://codestral.mistral.ai/v1":                             Mistral,
		"https://aiplatform.googleapis.com/v1/projects/p":             Gemini,
		"https://generativelanguage.googleapis.com.internal.example/": Compatible,
	} {
		if got := (Upstream{URL: url}).Effective().Profile; got != want {
			t.Errorf("the profile of %s is %s, want %s", url, got, want)
		}
		written := Upstream{URL: url, Settings: Settings{Profile: VLLM}}
		if got := written.Effective().Profile; got != VLLM {
			t.Errorf("the written profile of %s is %s", url, got)
		}
	}
}

// A written setting wins over the profile, the profile over the default; only
// defaults are not asked for.
func TestEffective(t *testing.T) {
	t.Parallel()
	u := Upstream{URL: "https://api.mistral.ai/v1", Settings: Settings{StreamOptions: On, MaxTokensField: MaxCompletionTokens}}
	want := defaults
	want.Profile, want.DeveloperRole, want.CallIDs, want.MaxTokensField = Mistral, RoleMerge, CallIDsNine, MaxCompletionTokens
	if diff := cmp.Diff(want, u.Effective()); diff != "" {
		t.Errorf("Effective (-want +got):\n%s", diff)
	}
	asked := Settings{
		Profile: Mistral, DeveloperRole: RoleMerge, MaxTokensField: MaxCompletionTokens, StreamOptions: On, CallIDs: CallIDsNine,
	}
	if diff := cmp.Diff(asked, u.Written()); diff != "" {
		t.Errorf("Asked (-want +got):\n%s", diff)
	}
	if got := (Upstream{URL: "http://h"}).Written(); !reflect.DeepEqual(got, Settings{Profile: Compatible}) {
		t.Errorf("an unknown server is asked for %+v", got)
	}
	for name := range profiles {
		got := reflect.ValueOf(Upstream{URL: "http://h", Settings: Settings{Profile: name}}.Effective())
		for i := range got.NumField() {
			field := got.Type().Field(i).Name
			if got.Field(i).IsZero() && field != "APIVersion" && field != "Headers" && field != "Body" {
				t.Errorf("%s has no %s", name, field)
			}
		}
	}
}

// New takes the settings that File returns.
func TestSettingsSurviveFile(t *testing.T) {
	t.Parallel()
	file := File{Models: []Model{{Name: "a/b/c", Upstream: Upstream{
		URL: "http://localhost:11434/v1", Settings: Settings{Strict: Off, Headers: map[string]string{"X-A": "b"}, Body: Members(`{"a":1}`)},
	}}}}
	first, err := New(file)
	if err != nil {
		t.Fatal(err)
	}
	second, err := New(first.File())
	if err != nil {
		t.Fatal(err)
	}
	a, _ := first.Model("a/b/c")
	b, _ := second.Model("a/b/c")
	if diff := cmp.Diff(a.Upstream.Written(), b.Upstream.Written()); diff != "" {
		t.Errorf("(-first +second):\n%s", diff)
	}
	if !first.SameButTenants(second) {
		t.Error("the registries differ")
	}
}

func TestAPIVersion(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ url, profile, version, want string }{
		{"https://x.openai.azure.com/openai/deployments/d", "", "", "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21"},
		{"https://x.openai.azure.com/openai/deployments/d?api-version=1", "", "", "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=1"},
		{"https://x.openai.azure.com/openai/deployments/d?api-version=1", "", "2", "https://x.openai.azure.com/openai/deployments/d/chat/completions?api-version=2"},
		{"https://x.openai.azure.com/openai/v1/", "", "", "https://x.openai.azure.com/openai/v1/chat/completions"},
		{"https://x.openai.azure.com/openai/v1", "", "preview", "https://x.openai.azure.com/openai/v1/chat/completions?api-version=preview"},
		{"http://h/deployments/d", "", "", "http://h/deployments/d/chat/completions"},
		{"http://h/deployments/d?a=b", "azure", "", "http://h/deployments/d/chat/completions?a=b&api-version=2024-10-21"},
	} {
		u := Upstream{URL: tt.url, Settings: Settings{Profile: tt.profile, APIVersion: tt.version}}
		if got, err := u.Endpoint("/chat/completions"); err != nil || got != tt.want {
			t.Errorf("%s with %q: %s, %v; want %s", tt.url, tt.version, got, err, tt.want)
		}
	}
}

func TestSetHeaders(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		u      Upstream
		secret string
		want   http.Header
	}{
		"a bearer token": {Upstream{URL: "http://h"}, "s", http.Header{"Authorization": {"Bearer s"}}},
		"no credential":  {Upstream{URL: "http://h"}, "", http.Header{}},
		"Azure":          {Upstream{URL: "https://x.openai.azure.com/openai/v1"}, "s", http.Header{"Api-Key": {"s"}}},
		"Azure's tokens": {
			Upstream{URL: "https://x.openai.azure.com/openai/v1", Settings: Settings{KeyHeader: "authorization"}}, "s", http.Header{"Authorization": {"Bearer s"}},
		},
		"others": {
			Upstream{URL: "http://h", Settings: Settings{KeyHeader: "x-api-key", Headers: map[string]string{"x-a": "b"}}}, "s", http.Header{"X-Api-Key": {"s"}, "X-A": {"b"}},
		},
	} {
		got := http.Header{}
		tt.u.SetHeaders(got, tt.secret)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestSettingsFaults(t *testing.T) {
	t.Parallel()
	const head = "models:\n  - name: m\n    upstream:\n      url: http://h\n"
	for name, tt := range map[string]struct {
		yaml string
		want []string
	}{
		"a typo in a profile":     {"profile: lamacpp", []string{`f:5:16: models[0].upstream.profile is "lamacpp", did you mean llamacpp? want one of azure, compatible,`}},
		"another way to write it": {"profile: LM-Studio", []string{`f:5:16: models[0].upstream.profile is "LM-Studio", did you mean lmstudio?`}},
		"a name like no other":    {"profile: xyz", []string{`f:5:16: models[0].upstream.profile is "xyz", want one of azure,`}},
		"a typo in a setting":     {"strct: off", []string{`f:5:7: models[0] unknown field "strct"`}},
		"all at once": {"developer_role: sistem\n      max_tokens_field: max_output_tokens\n      strict: maybe\n      api_version: a b\n      key_header: 'a b'\n", []string{
			`f:5:23: models[0].upstream.developer_role is "sistem", did you mean system?`,
			`f:6:25: models[0].upstream.max_tokens_field is "max_output_tokens", want one of max_tokens, max_completion_tokens`,
			`f:7:15: models[0].upstream.strict is "maybe", want one of on, off`,
			`f:8:20: models[0].upstream.api_version is "a b"`,
			`f:9:19: models[0].upstream.key_header is "a b", which is no name of a header`,
		}},
		"reserved headers": {"headers:\n        Authorization: secret\n        content-type: x\n        'a b': c\n        X-A: \"b\\nc\"\n", []string{
			"models[0].upstream.headers has", "models[0].upstream.headers.Authorization holds a credential; use credential and key_header",
			"models[0].upstream.headers.content-type is set by Windlass", "models[0].upstream.headers.X-A has a control character",
		}},
		"the credential's header": {"key_header: X-Key\n      headers: {x-key: a}", []string{"models[0].upstream.headers.x-key is the header of the credential"}},
		"a reserved key header":   {"key_header: Host", []string{`models[0].upstream.key_header is "Host", which Windlass sets itself`}},
		"a body's model":          {"body: {model: x, top_k: 1, messages: []}", []string{"models[0].upstream.body.model is decided by each request", "models[0].upstream.body.messages is decided"}},
		"a body that is a list":   {"body: [1]", []string{"models[0].upstream.body is no mapping"}},
		"a body that is too long": {"body: {a: " + strings.Repeat("x", maxBodyBytes) + "}", []string{"models[0].upstream.body has 65544 bytes as JSON, want at most 65536"}},
	} {
		_, err := Parse("f", []byte(head+"      "+tt.yaml+"\n"))
		if err == nil {
			t.Errorf("%s: no fault", name)
			continue
		}
		lines := strings.Split(err.Error(), "\n")
		if len(lines) != len(tt.want) {
			t.Errorf("%s: %q, want %d faults", name, lines, len(tt.want))
			continue
		}
		for i, line := range lines {
			if !strings.Contains(line, tt.want[i]) || strings.Contains(line, "secret") {
				t.Errorf("%s: fault %d is %q, want %q", name, i, line, tt.want[i])
			}
		}
	}
	for _, good := range []string{"strict: false", "strict: off", "strict: true", "strict: on", "strict: null", "empty_content: null", "body: {temperature: 0, a: [1]}", "api_version: 2024-10-21", "headers: {X-A: 1}"} {
		if _, err := Parse("f", []byte(head+"      "+good+"\n")); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
}
