package cli_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"windlass.dev/windlass/services/test/program"
)

func TestHelpAndVersion(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		says []string
	}{
		{nil, []string{"Usage: windlass <command>", "keys create", "version"}},
		{[]string{"help"}, []string{"Usage: windlass <command>", "keys create", "version"}},
		{[]string{"--help"}, []string{"Usage: windlass <command>"}},
		{[]string{"-h"}, []string{"Usage: windlass <command>"}},
		{[]string{"help", "dev"}, []string{"Usage: windlass dev", "--listen"}},
		{[]string{"dev", "--help"}, []string{"Usage: windlass dev", "--listen"}},
		{[]string{"help", "keys"}, []string{"Usage: windlass keys", "revoke"}},
		{[]string{"help", "keys", "create"}, []string{"Usage: windlass keys create", "--tenant", "cat .windlass/key.pepper"}},
		{[]string{"help", "mock"}, []string{"think_ms", "model time before the first byte", "retry_after", "drip"}},
		{[]string{"version"}, []string{"windlass ", "commit ", "go1."}},
		{[]string{"--version"}, []string{"windlass ", "commit ", "go1."}},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			t.Parallel()
			code, out, errs := program.RunExact(t, tt.args...)
			if code != 0 || errs != "" {
				t.Errorf("windlass %v exits with %d and says %q, want 0 and no error", tt.args, code, errs)
			}
			for _, text := range tt.says {
				if !strings.Contains(out, text) {
					t.Errorf("windlass %v prints %q, want %q in it", tt.args, out, text)
				}
			}
		})
	}
}

const registryYAML = `
models:
  - {name: demo, upstream: {url: http://127.0.0.1:1/v1}}
  - {name: x, upstream: {url: http://127.0.0.1:1/v1}}
tools:
  - {name: get_weather, description: d, url: http://127.0.0.1:1/, parameters: {type: object}}
  - {name: x, description: d, url: http://127.0.0.1:1/, parameters: {type: object}}
`

func TestUsageErrorsSayWhatToWrite(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "registry.yaml")
	if err := os.WriteFile(file, []byte(registryYAML), 0o600); err != nil {
		t.Fatal(err)
	}
	create := []string{"keys", "create", "--tenant", "a", "--database-url", "postgres://127.0.0.1:1/x", "--key-pepper", "0123456789abcdef"}
	with := func(args ...string) []string { return append(create[:len(create):len(create)], args...) }
	for name, tt := range map[string]struct {
		args []string
		says []string
	}{
		"unknown verb":           {[]string{"devv"}, []string{`did you mean "dev"`, "`windlass --help`"}},
		"unknown verb of keys":   {[]string{"keys", "creat"}, []string{`did you mean "create"`, "`windlass keys --help`"}},
		"unknown verb of help":   {[]string{"help", "migrat"}, []string{`did you mean "migrate"`}},
		"unknown verb, not near": {[]string{"serve"}, []string{"unexpected argument serve", "`windlass --help`"}},
		"no verb of keys":        {[]string{"keys"}, []string{`"create", "list", "revoke"`}},
		"unknown flag":           {[]string{"dev", "--lisen", "8081"}, []string{`did you mean "--listen"`, "`windlass dev --help`"}},
		"surplus argument":       {[]string{"dev", "now"}, []string{"unexpected argument now"}},
		"unknown dialect":        {[]string{"dev", "--model-dialect", "chats"}, []string{"chat", "responses"}},
		"unknown log level":      {[]string{"dev", "--log-level", "loud"}, []string{"debug", "warn"}},
		"keys: missing flags":    {[]string{"keys", "create"}, []string{"--database-url", "--key-pepper", "--tenant", "keys create --help"}},
		"keys: one missing flag": {[]string{"keys", "list"}, []string{"missing flags: --database-url=URL"}},
		"keys: empty tenant":     {append(create[:2:2], "--tenant", "", "--database-url", "x", "--key-pepper", "0123456789abcdef"), []string{`tenant ""`}},
		"keys: unknown model":    {with("--config", file, "--models", "demo,smal"), []string{"--models", "does not have smal", "it has demo, x"}},
		"keys: unknown tool":     {with("--config", file, "--tools", "get_wether"), []string{"--tools", "does not have get_wether", "get_weather, x"}},
		"keys: both unknown":     {with("--config", file, "--models", "y", "--tools", "z"), []string{"does not have y", "does not have z"}},
		"migrate: no database":   {[]string{"migrate"}, []string{"--database-url"}},
		"address without a port": {[]string{"dev", "--listen", "localhost"}, []string{"--listen 127.0.0.1:8081"}},
		"port too high":          {[]string{"dev", "--listen", "65536"}, []string{"up to 65535"}},
		"port that is a word":    {[]string{"mock", "--listen", "127.0.0.1:http-alt"}, []string{"--listen 127.0.0.1:8081"}},
		"a URL to listen on":     {[]string{"dev", "--listen", "http://127.0.0.1:8080"}, []string{"--listen 127.0.0.1:8081"}},
		"IPv6 without brackets":  {[]string{"dev", "--nats-listen", "::1:4222"}, []string{"--nats-listen 127.0.0.1:8081"}},
		"model without a scheme": {[]string{"dev", "--model-url", "api.example.com/v1"}, []string{"--model-url https://api.example.com/v1"}},
		"model, scheme misspelt": {[]string{"dev", "--model-url", "htp://localhost:1/v1"}, []string{"--model-url http://localhost:1/v1"}},
		"model, slash missing":   {[]string{"dev", "--model-url", "http:/127.0.0.1:1/v1"}, []string{"--model-url http://127.0.0.1:1/v1"}},
		"model, no host":         {[]string{"dev", "--model-url", "https:///v1"}, []string{"--model-url https://"}},
		"another database":       {[]string{"dev", "--database-url", "mysql://x"}, []string{"--database-url postgres://"}},
		"HTTP for NATS":          {[]string{"dev", "--nats-url", "http://x:4222"}, []string{"--nats-url nats://"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := program.RunExact(t, tt.args...)
			if code != 2 || out != "" || strings.Count(errs, "\n") != 1 {
				t.Errorf("windlass %v exits with %d, prints %q and says %q; want 2 and one line", tt.args, code, out, errs)
			}
			for _, text := range tt.says {
				if !strings.Contains(errs, text) {
					t.Errorf("windlass %v says %q, want %q in it", tt.args, errs, text)
				}
			}
		})
	}
}

func TestBusyPortSaysWhatToWrite(t *testing.T) {
	t.Parallel()
	busy, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = busy.Close() })
	at := busy.Addr().String()
	for name, args := range map[string][]string{
		"API":  {"dev", "--data", t.TempDir(), "--listen", at},
		"mock": {"mock", "--listen", at},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, _, errs := program.RunExact(t, args...)
			if code != 1 || !strings.Contains(errs, at+": address already in use") || !strings.Contains(errs, "write --listen 127.0.0.1:") {
				t.Errorf("windlass %v exits with %d and says %q", args, code, errs)
			}
		})
	}
}
