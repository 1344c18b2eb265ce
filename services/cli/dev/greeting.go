package dev

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"windlass.dev/windlass/services/cli/internal/address"
)

// greeting is what dev prints when it is ready.
func (d *dev) greeting() string {
	host, open := address.ToDial(d.api.Addr().String())
	admin, _ := address.ToDial(d.admin.Addr().String())
	base := "http://" + host
	var b strings.Builder
	fmt.Fprintf(&b, "\nWindlass is ready on %s (%.1f s). NATS: %s\n",
		base, time.Since(d.began).Seconds(), address.RedactToDial(d.NATSURL))
	fmt.Fprintf(&b, examples, base, d.APIKey, base, d.APIKey)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-9s"+format+"\n", append([]any{name}, args...)...)
	}
	if names := d.configuredModels(); len(names) > 0 {
		row("models", "demo, %s", strings.Join(names, ", "))
	}
	row("health", "http://%s/livez  /readyz  /metrics", admin)
	row("data", "%s; to start from nothing: rm -rf %s", shortPath(string(d.data)), d.dataFolders())
	row("stop", "Ctrl-C; unfinished requests continue at the next start")
	if open {
		if ip := address.OfMachine(); ip != "" {
			_, port, _ := net.SplitHostPort(host)
			row("network", "http://%s for other machines", net.JoinHostPort(ip, port))
		}
		row("warning", "other machines can reach this address; they need the key")
	}
	return b.String()
}

// examples takes the base URL and the key, twice.
const examples = `
curl %s/v1/responses -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' -d '{
  "model": "demo",
  "input": "What is the weather in Paris and Tokyo?",
  "tools": [{"type": "mcp", "server_label": "windlass"}]
}'

from openai import OpenAI  # pip install openai
client = OpenAI(base_url="%s/v1", api_key="%s")
r = client.responses.create(model="demo", input="What is the weather in Paris and Tokyo?",
                            tools=[{"type": "mcp", "server_label": "windlass"}])
print(r.output_text or r.error)

`

// configuredModels returns the models of --config and --model-url.
func (d *dev) configuredModels() []string {
	var names []string
	rest := ""
	for _, m := range d.reg.Models() {
		switch {
		case d.demo.Serves(m.Name):
		case m.Name == "*":
			rest = "every other name at " + address.Redact(m.Upstream.URL)
		default:
			names = append(names, m.Name)
		}
	}
	if rest != "" {
		names = append(names, rest)
	}
	return names
}

// dataFolders are the folders to delete, as a shell takes them.
func (d *dev) dataFolders() string {
	folders := shortPath(string(d.data))
	if d.pgData != "" && !strings.HasPrefix(d.pgData, string(d.data)+string(filepath.Separator)) {
		folders += " " + d.pgData
	}
	return folders
}

// shortPath returns a path relative to the working directory if it is below it.
func shortPath(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	if relative, err := filepath.Rel(here, path); err == nil && filepath.IsLocal(relative) {
		return "./" + relative
	}
	return path
}
