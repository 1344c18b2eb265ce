package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/process"
)

// parts are the services whose health checks dev waits for.
var parts = []string{"gateway", "claimer", "loop-orchestrator", "finalizer", "tool-runner"}

// greet waits until every part answers and the start checks are over, and
// prints how to use it.
func (d *dev) greet(ctx context.Context, checked <-chan struct{}) error {
	for !d.ready(ctx) {
		if !process.Sleep(ctx, 20*time.Millisecond) {
			return nil
		}
	}
	select {
	case <-ctx.Done():
		return nil
	case <-checked:
	}
	if _, err := fmt.Fprint(os.Stdout, d.greeting()); err != nil {
		return fmt.Errorf("print that dev is ready: %w", err)
	}
	d.watch(ctx)
	return nil
}

// watch tells when Postgres and NATS answer again. That they do not is told by
// those who notice it.
func (d *dev) watch(ctx context.Context) {
	var since time.Time // of the outage
	for process.Sleep(ctx, time.Second) {
		switch ready := d.rt.Health.Ready(ctx) == nil; {
		case ready && !since.IsZero():
			d.rt.Log.Info("ready again", zap.Duration("took", time.Since(since)))
			since = time.Time{}
		case !ready && since.IsZero():
			since = time.Now()
		}
	}
}

// ready asks the API as a client does, for something that is in the database. A service registers its checks when it is
// connected, so a missing one is as bad as a failed one.
func (d *dev) ready(ctx context.Context) bool {
	names := d.rt.Health.Names()
	for _, part := range parts {
		if !slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, part+".") }) {
			return false
		}
	}
	base, _ := usable(d.api.Addr().String())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+base+"/v1/responses?limit=1", nil)
	if err != nil {
		return false
	}
	req.Header.Set("Authorization", "Bearer "+d.APIKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK && d.rt.Health.Ready(ctx) == nil
}

// greeting is the text of a dev that is ready.
func (d *dev) greeting() string {
	host, open := usable(d.api.Addr().String())
	admin, _ := usable(d.admin.Addr().String())
	base := "http://" + host
	var b strings.Builder
	fmt.Fprintf(&b, "\nWindlass is ready on %s (%.1f s). NATS: %s\n",
		base, time.Since(d.began).Seconds(), natsAddress(d.NATSURL))
	fmt.Fprintf(&b, requests, base, d.APIKey, base, d.APIKey)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-9s"+format+"\n", append([]any{name}, args...)...)
	}
	if names := d.configured(); len(names) > 0 {
		row("models", "demo, %s", strings.Join(names, ", "))
	}
	row("health", "http://%s/livez  /readyz  /metrics", admin)
	row("data", "%s; to start from nothing: rm -rf %s", shown(d.data), d.dataFolders())
	row("stop", "Ctrl-C; what is unfinished goes on at the next start")
	if open {
		if ip := outside(); ip != "" {
			_, port, _ := net.SplitHostPort(host)
			row("network", "http://%s for other machines", net.JoinHostPort(ip, port))
		}
		row("warning", "other machines can reach this address, and use it with the key %q: "+
			"choose your own with --api-key", d.APIKey)
	}
	return b.String()
}

const requests = `
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

// configured are the models that a user has added.
func (d *dev) configured() []string {
	var names []string
	rest := ""
	for _, m := range d.reg.Models() {
		switch {
		case d.demo.serves(m.Name):
		case m.Name == "*":
			rest = "every other name at " + address(m.Upstream.URL)
		default:
			names = append(names, m.Name)
		}
	}
	if rest != "" {
		names = append(names, rest)
	}
	return names
}

// dataFolders is what holds everything, as a shell takes it.
func (d *dev) dataFolders() string {
	folders := shown(d.data)
	if d.pgData != "" && !strings.HasPrefix(d.pgData, d.data+string(filepath.Separator)) {
		folders += " " + d.pgData
	}
	return folders
}

// shown is a path as it is shortest from here.
func shown(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	if relative, err := filepath.Rel(here, path); err == nil && filepath.IsLocal(relative) {
		return "./" + relative
	}
	return path
}

// natsAddress is the URL of NATS without what is secret in it, as a client on
// this machine writes it.
func natsAddress(text string) string {
	at := address(text)
	scheme, rest, found := strings.Cut(at, "://")
	if !found {
		return at
	}
	host, _ := usable(rest)
	return scheme + "://" + host
}
