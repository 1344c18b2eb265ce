package sdk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/services/mock"
)

// codexConfig is the whole configuration of Codex for Windlass.
const codexConfig = `
model = "demo"
model_provider = "windlass"

[model_providers.windlass]
name = "Windlass"
base_url = "%s/v1"
env_key = "WINDLASS_API_KEY"
wire_api = "responses"
supports_websockets = %t
request_max_retries = 0
stream_max_retries = %d

[analytics]
enabled = false
`

// codex has Codex CLI carry out a task: the model has it write a file by its
// shell tool, reads the file by it, and says that it is done. With a cut, the
// WebSocket breaks at that request.
func codex(t *testing.T, url string, socket bool, cut int) {
	t.Helper()
	node, packages := codexKit.install(t)
	r := record(t, url)
	r.cut = cut
	home, work := t.TempDir(), t.TempDir()
	config := fmt.Sprintf(codexConfig, r.URL, socket, min(cut, 1))
	if err := os.WriteFile(filepath.Join(home, "config.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	task := mock.Plan{
		Seed: firstSeed(), Rounds: 2, Tool: "exec_command", RawArguments: `{"cmd":"printf turned >> work.txt && cat work.txt"}`,
		Text: "The work is done.",
	}
	cmd := exec.CommandContext(t.Context(), node, filepath.Join(packages, "node_modules", "@openai", "codex", "bin", "codex.js"),
		"exec", "--json", "--skip-git-repo-check", "--sandbox", "danger-full-access", task.Prompt())
	cmd.Dir, cmd.WaitDelay = work, time.Second
	cmd.Env = append(cmd.Environ(), "CODEX_HOME="+home, "WINDLASS_API_KEY="+apiKey)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	timer := time.AfterFunc(runTime, func() { _ = cmd.Process.Kill() })
	stdout, err := cmd.Output()
	timer.Stop()
	r.Close()
	if err != nil {
		t.Errorf("codex ended with %v", err)
	}
	if got, err := os.ReadFile(filepath.Join(work, "work.txt")); string(got) != "turnedturned" {
		t.Errorf("the file says %q, want %q: %v", got, "turnedturned", err)
	}
	commands, last := codexItems(stdout)
	if commands != 2 || last != task.Text {
		t.Errorf("codex ran %d commands and said %q, want 2 and %q", commands, last, task.Text)
	}
	judge(t, r.exchanges)
	if socket {
		codexSocket(t, r, cut)
	} else if n := len(r.sockets()); n > 0 {
		t.Errorf("codex opened %d WebSockets", n)
	}
	if t.Failed() {
		t.Logf("codex printed:\n%s%s", stdout, stderr.Bytes())
	}
}

// codexRequest has the checked members of Codex's request over a WebSocket.
type codexRequest struct {
	Type     string
	Store    bool
	Generate *bool
	Previous string `json:"previous_response_id"`
}

// codexSocket checks that Codex used one WebSocket for everything, as with
// OpenAI: a warm-up first, then requests that continue each other without being
// stored, with compression, and no request over HTTP. After a cut there is a
// second WebSocket, whose first request has the whole history.
func codexSocket(t *testing.T, r *recorder, cut int) {
	t.Helper()
	for _, x := range r.exchanges {
		if x.request.Method == http.MethodPost {
			t.Errorf("codex went back to HTTP: %s", x)
		}
	}
	want := []int{4} // the warm-up and three turns
	if cut > 0 {
		want = []int{cut, 5 - cut}
	}
	var got []int
	for i, x := range r.sockets() {
		if beta := x.request.Header.Get("OpenAI-Beta"); beta != "responses_websockets=2026-02-06" {
			t.Errorf("codex sent %q", beta)
		}
		if !strings.HasPrefix(x.header.Get("Sec-WebSocket-Extensions"), "permessage-deflate") {
			t.Errorf("codex offered %q and got %q", x.request.Header["Sec-Websocket-Extensions"], x.header["Sec-Websocket-Extensions"])
		}
		asked := codexRequests(t, x)
		got = append(got, len(asked))
		for n, a := range asked {
			warm := a.Generate != nil && !*a.Generate
			if a.Type != "response.create" || a.Store || (a.Previous != "") != (n > 0) || warm != (i == 0 && n == 0) {
				t.Errorf("request %d of WebSocket %d is %+v, want one that is not stored and continues the one before", n, i, a)
			}
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("codex sent %v requests over its WebSockets, want %v", got, want)
	}
}

func codexRequests(t *testing.T, x *exchange) (asked []codexRequest) {
	t.Helper()
	up, _, err := x.socket.messages()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range up {
		var a codexRequest
		if err := json.Unmarshal(m, &a); err != nil {
			t.Fatalf("%v: %s", err, m)
		}
		asked = append(asked, a)
	}
	return asked
}

// codexItems reads Codex's output: the number of successful commands, and the
// last message.
func codexItems(stdout []byte) (commands int, last string) {
	for line := range strings.Lines(string(stdout)) {
		var event struct {
			Type string
			Item struct {
				Type, Text string
				ExitCode   *int `json:"exit_code"`
			}
		}
		if json.Unmarshal([]byte(line), &event) != nil || event.Type != "item.completed" {
			continue
		}
		switch event.Item.Type {
		case "command_execution":
			if code := event.Item.ExitCode; code != nil && *code == 0 {
				commands++
			}
		case "agent_message":
			last = event.Item.Text
		}
	}
	return commands, last
}
