package behaviour

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/registry"
)

// TestUpstreamSettings holds that settings apply from the first request on, for
// each kind of body.
func TestUpstreamSettings(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("k3y"), 0o600); err != nil {
		t.Fatal(err)
	}
	secret := registry.Credential{File: key}
	const chat = `"messages":[{"role":"developer","content":"a"},{"role":"user","content":"hi"}],"max_completion_tokens":5`
	const response = `"input":[{"role":"developer","content":"a"},{"role":"user","content":"hi"}],"max_output_tokens":16`
	extra := registry.Settings{
		Headers: map[string]string{"X-Team": "a b"}, Body: registry.Members(`{"top_k":5,"temperature":0.25}`), IdempotencyKey: registry.Off,
	}
	tests := []struct {
		name         string
		u            registry.Upstream
		path, fields string
		query        string
		headers      map[string]string
		has          []string
		hasNot       string
	}{
		{
			"azure",
			registry.Upstream{URL: "/openai/deployments/d", Credential: secret, Settings: registry.Settings{Profile: "azure"}},
			"/responses", response, "api-version=2024-10-21",
			map[string]string{"Api-Key": "k3y", "Authorization": ""},
			[]string{`"developer"`, `"max_completion_tokens":16`},
			`"max_tokens"`,
		},
		{
			"azure-chat",
			registry.Upstream{URL: "/openai/deployments/d/?api-version=1", Credential: secret, Settings: registry.Settings{Profile: "azure", APIVersion: "2"}},
			"/chat/completions", chat, "api-version=2",
			map[string]string{"Api-Key": "k3y", "Authorization": ""},
			[]string{`"developer"`, `"max_completion_tokens":5`},
			`"max_tokens"`,
		},
		{
			"azure-v1",
			registry.Upstream{URL: "/openai/v1", Credential: secret, Settings: registry.Settings{Profile: "azure", KeyHeader: "authorization"}},
			"/responses", response, "",
			map[string]string{"Api-Key": "", "Authorization": "Bearer k3y"},
			[]string{`"developer"`},
			`"max_tokens"`,
		},
		{
			"extra",
			registry.Upstream{Settings: extra},
			"/responses", response, "",
			map[string]string{"X-Team": "a b", "Idempotency-Key": ""},
			[]string{`"top_k":5`, `"temperature":0.25`, `"max_tokens":16`, `"system"`},
			`"developer"`,
		},
		{
			"extra-given",
			registry.Upstream{Settings: extra},
			"/responses", response + `,"temperature":1`, "",
			map[string]string{"X-Team": "a b"},
			[]string{`"top_k":5`, `"temperature":1`},
			`0.25`,
		},
		{
			"extra-chat",
			registry.Upstream{Settings: extra},
			"/chat/completions", chat, "",
			map[string]string{"X-Team": "a b"},
			[]string{`"top_k":5`, `"developer"`, `"max_completion_tokens":5`},
			`"max_tokens"`,
		},
		{
			"extra-native",
			registry.Upstream{Dialect: registry.Responses, Settings: extra},
			"/responses", response, "",
			map[string]string{"X-Team": "a b"},
			[]string{`"top_k":5`, `"developer"`, `"max_output_tokens":16`},
			`"max_tokens"`,
		},
		{
			"native-merged",
			registry.Upstream{Dialect: registry.Responses, Settings: registry.Settings{DeveloperRole: "merge"}},
			"/responses", response, "",
			nil,
			[]string{`"instructions":"a"`},
			`"developer"`,
		},
		{
			"org/vllm",
			registry.Upstream{Settings: registry.Settings{Profile: "vllm"}},
			"/chat/completions", chat, "",
			nil,
			[]string{`[{"role":"system","content":"a"},`, `"max_tokens":5`},
			`"max_completion_tokens"`,
		},
		{
			"compatible",
			registry.Upstream{},
			"/chat/completions", chat, "",
			nil,
			[]string{`"developer"`, `"max_completion_tokens":5`},
			`"max_tokens"`,
		},
		{
			"mistral",
			registry.Upstream{Settings: registry.Settings{Profile: "mistral"}},
			"/responses", `"stream":true,` + response, "",
			nil,
			[]string{`"max_tokens":16`, `"stream":true`},
			`"stream_options"`,
		},
		{
			"mistral-chat",
			registry.Upstream{Settings: registry.Settings{Profile: "mistral"}},
			"/chat/completions", `"stream":true,` + chat, "",
			nil,
			[]string{`"max_tokens":5`, `"system"`},
			`"stream_options"`,
		},
	}
	f := &fussy{}
	settings := map[string]registry.Upstream{"*": {Settings: registry.Settings{Profile: "openai"}}}
	for _, tt := range tests {
		settings[tt.name] = tt.u
	}
	s := startFussy(t, f, settings)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if status, answer, _ := sendTo(t, s, tt.path, `{"model":"`+tt.name+`",`+tt.fields+`}`); status != http.StatusOK || !strings.Contains(answer, "ok") {
				t.Fatalf("answered %d: %s", status, answer)
			}
			got := f.of(tt.name)[0]
			if got.URL.RawQuery != tt.query {
				t.Errorf("the query is %q, want %q", got.URL.RawQuery, tt.query)
			}
			for name, want := range tt.headers {
				if got.Header.Get(name) != want {
					t.Errorf("the header %s is %q, want %q", name, got.Header.Get(name), want)
				}
			}
			for _, text := range tt.has {
				if !strings.Contains(got.body, text) {
					t.Errorf("%s\nwants %s", got.body, text)
				}
			}
			if strings.Contains(got.body, tt.hasNot) && tt.hasNot != "" {
				t.Errorf("%s\nhas %s", got.body, tt.hasNot)
			}
		})
	}
	t.Run("any name", func(t *testing.T) {
		t.Parallel()
		if status, answer, _ := sendTo(t, s, "/responses", `{"model":"some/thing/else",`+response+`}`); status != http.StatusOK {
			t.Fatalf("answered %d: %s", status, answer)
		}
		if got := f.of("some/thing/else")[0].body; !strings.Contains(got, `"developer"`) || !strings.Contains(got, `"max_completion_tokens":16`) {
			t.Errorf("the settings of the wildcard are not those of the name: %s", got)
		}
	})
}

// TestStreamsOff holds that an upstream that is only asked for whole answers
// serves clients that want streams.
func TestStreamsOff(t *testing.T) {
	t.Parallel()
	off := registry.Settings{Stream: registry.Off}
	f := &fussy{rules: map[string]func(string) (int, string){}}
	s := startFussy(t, f, map[string]registry.Upstream{
		"whole": {Settings: off}, "whole-native": {Dialect: registry.Responses, Settings: off},
	})
	for _, tt := range []struct{ model, path, fields, last string }{
		{"whole", "/responses", `"input":"hi"`, `"type":"response.completed"`},
		{"whole", "/chat/completions", `"messages":[{"role":"user","content":"hi"}]`, "data: [DONE]"},
		{"whole-native", "/responses", `"input":"hi"`, `"type":"response.completed"`},
	} {
		status, _, text := s.Send(t, http.MethodPost, "/v1"+tt.path, []byte(`{"model":"`+tt.model+`","stream":true,`+tt.fields+`}`))
		if status != http.StatusOK || !strings.Contains(string(text), `"ok"`) || !strings.Contains(string(text), tt.last) {
			t.Errorf("%s of %s: %d %s", tt.path, tt.model, status, text)
		}
		if got := f.of(tt.model); len(got) != 1 || strings.Contains(got[0].body, `"stream`) {
			t.Errorf("%s of %s: the upstream got %d requests, the first of them %s, want one without stream", tt.path, tt.model, len(got), got[0].body)
		}
	}
}
