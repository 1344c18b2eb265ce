package dev_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"windlass.dev/windlass/services/test/program"
)

// upstreams answers by the first part of the path: with a status and an error's
// message, or as a model that calls the tool of that name.
func upstreams(t *testing.T) *httptest.Server {
	t.Helper()
	faults := map[string]struct {
		status int
		body   string
	}{
		"key":    {401, `{"error":{"message":"invalid api key","code":"invalid_api_key"}}`},
		"denied": {403, `{"error":{"message":"your plan does not have this model"}}`},
		"name":   {404, `{"error":{"message":"model not found"}}`},
		"words":  {400, `{"error":{"message":"role developer is unknown in: ` + canary + `"}}`},
		"broken": {500, `{"error":"out of memory"}`},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		w.Header().Set("Content-Type", "application/json")
		if f, ok := faults[kind]; ok {
			w.WriteHeader(f.status)
			fmt.Fprint(w, f.body)
			return
		}
		if rest != "v1/chat/completions" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		body, _ := io.ReadAll(r.Body)
		message := `{"role":"assistant","content":"Fine."}`
		if !strings.Contains(string(body), `"role":"tool"`) {
			message = `{"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"` + kind + `","arguments":"{}"}}]}`
		}
		fmt.Fprintf(w, `{"choices":[{"index":0,"message":%s,"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`, message)
	}))
	t.Cleanup(server.Close)
	return server
}

// canary is a prompt. No line may contain it.
const canary = "the swallow flies at midnight"

func TestDevShowsFailuresAndWhatToDo(t *testing.T) {
	t.Parallel()
	server, closed := upstreams(t), program.ClosedAddress(t)
	tools := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, "no route; "+canary)
	}))
	t.Cleanup(tools.Close)
	var config strings.Builder
	config.WriteString("models:\n")
	for _, name := range []string{"key", "denied", "name", "words", "broken", "local", "gone", "missing", "unoffered"} {
		fmt.Fprintf(&config, "  - {name: %s, attempts: 1, upstream: {url: %s/%s/v1, credential: {env: WL_TEST_KEY}}}\n", name, server.URL, name)
	}
	fmt.Fprintf(&config, "  - {name: dead, attempts: 2, upstream: {url: http://%s/v1}}\n", closed)
	fmt.Fprintf(&config, "tools:\n  - {name: local, url: %s/a}\n", tools.URL)
	fmt.Fprintf(&config, "  - {name: gone, attempts: 1, allow_private: true, url: http://%s/b}\n", closed)
	fmt.Fprintf(&config, "  - {name: missing, allow_private: true, url: %s/c}\n", tools.URL)
	d := program.StartDev(t, program.DataDir(t), "--config", program.WriteFile(t, "registry.yaml", config.String()))

	for _, want := range []string{ // by the start checks
		`check +model key: the upstream answered 401 "invalid api key"  → check the environment variable WL_TEST_KEY, the credential of model key`,
		`check +model broken: the upstream answered 500 "out of memory"`,
		`check +model dead: nothing answers at http://` + closed + `/v1: connection refused  → is the server at http://` + closed + `/v1 running\?`,
		`check +tool local: .*  → add allow_private: true to tool local if ` + tools.URL + `/a is yours`,
		`check +tool gone: the tool refused the connection  → is the server at http://` + closed + `/b running\?`,
	} {
		d.Lines.Await(t, regexp.MustCompile(want))
	}
	for _, tt := range []struct{ model, line, message string }{
		{"key", `failed +resp_\w+ model key: .*401.*invalid api key.*  → check the environment variable WL_TEST_KEY`, "invalid api key"},
		{"denied", `failed +resp_\w+ model denied: .*403.*your plan does not have this model.*  → check the environment variable WL_TEST_KEY`, "your plan does not have this model"},
		{"name", `failed +resp_\w+ model name: .*404.*model not found.*  → check that http://\S+/name/v1 is the base URL`, "model not found"},
		{"words", `failed +resp_\w+ model words: .*400.*role developer is unknown in: \[…\].*  → .*docs/models.md`, "role developer is unknown in: " + canary},
		{"broken", `failed +resp_\w+ model broken: .*500.*out of memory.*  → see the log of the server at`, "out of memory"},
		{"dead", `(?s)retry +resp_\w+ model dead: .*failed +resp_\w+ model dead: .*  → is the server at http://` + closed + `/v1 running\?`, "reached|refused"},
		{"local", `failed +resp_\w+ tool local: .*; the model is shown this failure  → add allow_private: true to tool local`, ""},
		{"gone", `failed +resp_\w+ tool gone: the tool refused the connection; .*  → is the server at http://` + closed + `/b running\?`, ""},
		{"missing", `failed +resp_\w+ tool missing: it answered 404 Not Found; .*  → check its url \(\S+/c\) and method \(POST\)`, ""},
		{"unoffered", `failed +resp_\w+ model: it called a tool that it was not offered; the model is shown this failure`, ""},
		{"nothing-like-it", `refused +POST /v1/responses: 404 no such model  → GET /v1/models lists the models`, "nothing-like-it"},
	} {
		answer := d.Call(t, http.MethodPost, "/v1/responses",
			`{"model": "`+tt.model+`", "input": "`+canary+`", "tools": [{"type": "mcp", "server_label": "windlass"}]}`)
		d.Lines.Await(t, regexp.MustCompile(tt.line))
		if tt.message == "" {
			if answer["status"] != "completed" {
				t.Errorf("model %s: the response is %v with %v, want it completed: a tool's failure is not its end", tt.model, answer["status"], answer["error"])
			}
			d.Lines.Await(t, regexp.MustCompile(`done +`+answer["id"].(string)+` model `+tt.model+`: .* 6\+4 tokens  1 tool call, 1 failed`))
			continue
		}
		fault, _ := json.Marshal(answer["error"])
		if !regexp.MustCompile(tt.message).Match(fault) {
			t.Errorf("model %s: error is %s, want the words %q", tt.model, fault, tt.message)
		}
	}
	d.Stop(t)
	for _, secret := range []string{canary, "KEY-1234", d.Key} {
		if strings.Contains(d.Lines.String(), secret) {
			t.Errorf("lines hold %q:\n%s", secret, &d.Lines)
		}
	}
	if strings.Contains(d.Lines.String(), "message handled") || strings.Contains(d.Lines.String(), `{"`) {
		t.Errorf("lines hold step noise or JSON:\n%s", &d.Lines)
	}
}

func TestDevShowsLinesByLevel(t *testing.T) {
	t.Parallel()
	for level, want := range map[string]struct{ done, refused, steps bool }{
		"warn": {refused: true}, "info": {done: true, refused: true}, "debug": {done: true, refused: true, steps: true},
	} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			d := program.StartDev(t, program.DataDir(t), "--log-level", level)
			answer := d.Call(t, http.MethodPost, "/v1/responses", `{"model": "demo", "input": "hi"}`)
			d.Call(t, http.MethodPost, "/v1/responses", `{"model": 1}`)
			d.Stop(t)
			text := d.Lines.String()
			for what, shown := range map[string]bool{
				`done +` + answer["id"].(string) + ` model demo: /v1/responses`: want.done,
				`refused +POST /v1/responses: 400 `:                             want.refused,
				`message handled`:                                               want.steps,
			} {
				if got := regexp.MustCompile(what).MatchString(text); got != shown {
					t.Errorf("%s is shown: %t, want %t, in\n%s", what, got, shown, text)
				}
			}
		})
	}
}

func TestDevOffersDemoToolsToTheDemoModelOnly(t *testing.T) {
	t.Parallel()
	server := upstreams(t)
	d := program.StartDev(t, program.DataDir(t), "--model-url", server.URL+"/get_weather/v1")
	const tools = `"tools": [{"type": "mcp", "server_label": "windlass"}]`
	for model, want := range map[string]int{"demo": 2, "own": 0} {
		answer := d.Call(t, http.MethodPost, "/v1/responses", `{"model": "`+model+`", "input": "hi", `+tools+`}`)
		output, _ := json.Marshal(answer["output"])
		if got := strings.Count(string(output), `"input_schema"`); got != want {
			t.Errorf("the model %s is offered %d tools, want %d: %s", model, got, want, output)
		}
	}
	d.Stop(t)
}

func TestDevServesHealthAndMetrics(t *testing.T) {
	t.Parallel()
	d := program.StartDev(t, program.DataDir(t), "--listen", "0.0.0.0:0")
	text := d.Greeting.String()
	admin := regexp.MustCompile(`health +(http://\S+)/livez  /readyz  /metrics`).FindStringSubmatch(text)
	if admin == nil {
		t.Fatalf("no health address in\n%s", text)
	}
	for path, want := range map[string]string{"/livez": "ok", "/readyz": "ok", "/metrics": "windlass_"} {
		resp, err := http.Get(admin[1] + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s answered %d %.80s, want %q", path, resp.StatusCode, body, want)
		}
	}
	for _, want := range []string{
		`ready on http://127\.0\.0\.1:\d+ `, `warning +other machines can reach this address; they need the key`,
		`print\(r\.output_text or r\.error\)`, `base_url="http://127\.0\.0\.1:\d+/v1", api_key="wl-dev-[a-z2-7]{26}"`, `data +/\S+; to start from nothing: rm -rf /`, `stop +Ctrl-C`,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	d.Stop(t)
	if text := d.Lines.String(); text != "" {
		t.Errorf("a run without faults reports\n%s", text)
	}
}

// TestCtrlCDuringTheStartLeavesNothing interrupts a first start, which makes a
// database, at three moments.
func TestCtrlCDuringTheStartLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{100 * time.Millisecond, 500 * time.Millisecond, 1200 * time.Millisecond} {
		t.Run(after.String(), func(t *testing.T) {
			t.Parallel()
			data := program.DataDir(t)
			cmd := exec.CommandContext(t.Context(), os.Args[0], "dev", "--data", data, "--listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0")
			var said program.Output
			cmd.Stderr = &said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			<-time.After(after)
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			timer := time.AfterFunc(program.Patience, func() { _ = cmd.Process.Kill() })
			defer timer.Stop()
			if err := cmd.Wait(); err != nil {
				var exit *exec.ExitError
				if after > 200*time.Millisecond || !errors.As(err, &exit) || !exit.Sys().(syscall.WaitStatus).Signaled() {
					t.Errorf("dev ended with %v, want 0; it said %s", err, &said)
				}
			}
			if said.String() != "" {
				t.Errorf("dev said %q about the interrupt, want nothing", &said)
			}
			if left := processesOf(t, data); len(left) > 0 {
				t.Errorf("these run on: %v", left)
			}
		})
	}
}

// processesOf returns the command lines of the processes that name a directory.
func processesOf(t *testing.T, dir string) (found []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		if line, err := os.ReadFile(path); err == nil && strings.Contains(string(line), dir) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}
