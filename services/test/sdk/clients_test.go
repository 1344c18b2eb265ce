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
	"sync/atomic"
	"testing"
	"time"
)

// client is one client and the scenarios that its script must pass.
type client struct {
	name      string
	kit       *kit
	script    string
	scenarios string // separated by spaces
}

var clients = []client{
	{
		"npm openai", nodeKit, "openai.mjs",
		"create structured functions tools background cancel chain compact input_tokens list errors stream stream_functions stream_tools " +
			"stream_errors resume stream_cancel delete input_items models chat chat_stream embeddings",
	},
	{"npm @openai/agents", nodeKit, "agents.mjs", "agent chain structured tools agent_stream tools_stream handoff"},
	{"npm ai with @ai-sdk/openai", nodeKit, "ai.mjs", "create agent agent_stream structured_stream tools_stream chain structured tools errors"},
	{"npm @langchain/openai", nodeKit, "langchain.mjs", "create agent stream agent_stream tools_stream chain structured tools errors"},
	{
		"PyPI openai", pythonKit, "openai_client.py",
		"create create_async structured functions tools background cancel chain compact input_tokens list_responses errors stream stream_async stream_functions " +
			"stream_tools stream_errors resume stream_cancel delete input_items models chat chat_stream embeddings",
	},
	{"PyPI openai-agents", pythonKit, "agents_client.py", "agent chain structured tools agent_stream tools_stream handoff"},
	{"npm openai, conversations", nodeKit, "openai_conversations.mjs", "conversation items functions references locked"},
	{"npm @openai/agents, conversations", nodeKit, "agents_conversations.mjs", "session conversation"},
	{"npm ai with @ai-sdk/openai, references", nodeKit, "ai_references.mjs", "references conversation"},
	{"PyPI openai and openai-agents, conversations", pythonKit, "conversations_client.py", "conversation locked session agent"},
}

// socketClients create their responses over WebSockets.
var socketClients = []client{
	{"npm openai, WebSocket", nodeKit, "openai_socket.mjs", "create functions tools chain errors lanes unauthorized"},
	{"npm @openai/agents, WebSocket", nodeKit, "agents_socket.mjs", "agent chain structured tools agent_stream tools_stream handoff"},
	{"PyPI openai, WebSocket", pythonKit, "socket_client.py", "create create_async functions tools chain errors lanes lanes_async unauthorized"},
	{"PyPI openai-agents, WebSocket", pythonKit, "agents_socket.py", "session agent chain structured tools agent_stream tools_stream handoff"},
}

func TestClients(t *testing.T) {
	t.Parallel()
	url := startDev(t)
	for _, c := range clients {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			program, packages := c.kit.install(t)
			c.run(t, url, program, packages)
		})
	}
	for _, c := range socketClients {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			program, packages := c.kit.install(t)
			overSockets(t, c.run(t, url, program, packages))
		})
	}
	t.Run("openai-go", func(t *testing.T) {
		t.Parallel()
		openaiGo(t, url)
	})
	t.Run("openai-go, WebSocket", func(t *testing.T) {
		t.Parallel()
		openaiGoSocket(t, url)
	})
	t.Run("Codex CLI over HTTP", func(t *testing.T) {
		t.Parallel()
		codex(t, url, false, 0)
	})
	t.Run("Codex CLI over WebSocket", func(t *testing.T) {
		t.Parallel()
		codex(t, url, true, 0)
	})
	t.Run("Codex CLI over a WebSocket that breaks", func(t *testing.T) {
		t.Parallel()
		codex(t, url, true, 3)
	})
}

// runTime bounds a script; each scenario has its own bound.
const runTime = 3 * time.Minute

// line is what a script prints for each scenario.
type line struct{ Scenario, Error string }

// run has the script run its scenarios and returns the record.
func (c client) run(t *testing.T, url, program, packages string) *recorder {
	t.Helper()
	r := record(t, url)
	cmd := c.command(t, program, packages)
	cmd.Env = append(cmd.Environ(), "OPENAI_BASE_URL="+r.URL+"/v1", "OPENAI_API_KEY="+apiKey, fmt.Sprint("WINDLASS_SEED=", firstSeed()), "AI_SDK_LOG_WARNINGS=false")
	var stderr bytes.Buffer
	cmd.Stderr, cmd.WaitDelay = &stderr, time.Second
	timer := time.AfterFunc(runTime, func() { _ = cmd.Process.Kill() })
	stdout, err := cmd.Output()
	timer.Stop()
	r.Close() // waits for open requests
	if err != nil {
		t.Errorf("%s ended with %v", c.script, err)
	}
	var over []string
	for text := range strings.Lines(string(stdout)) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Errorf("%s printed %q", c.script, text)
			continue
		}
		over = append(over, l.Scenario)
		t.Run(l.Scenario, func(t *testing.T) {
			if l.Error != "" {
				t.Error(l.Error)
			}
		})
	}
	for _, name := range strings.Fields(c.scenarios) {
		if !slices.Contains(over, name) {
			t.Errorf("%s did not go through %s", c.script, name)
		}
	}
	t.Run("received", func(t *testing.T) { judge(t, r.exchanges) })
	if t.Failed() {
		t.Logf("%s said:\n%s", c.script, stderr.Bytes())
	}
	return r
}

// overSockets checks that a client's requests use WebSockets, except a few that
// are about HTTP.
func overSockets(t *testing.T, r *recorder) {
	t.Helper()
	asked, posts := 0, 0
	for _, x := range r.exchanges {
		switch {
		case x.socket != nil:
			up, _, err := x.socket.messages()
			if err != nil {
				t.Errorf("%s: %v", x, err)
			}
			asked += len(up)
		case x.request.Method == http.MethodPost:
			posts++
		}
	}
	if asked <= 5*posts {
		t.Errorf("%d requests went over WebSockets, %d over HTTP", asked, posts)
	}
}

// command returns the script's command, which finds the packages.
func (c client) command(t *testing.T, program, packages string) *exec.Cmd {
	t.Helper()
	if c.kit == pythonKit {
		cmd := exec.CommandContext(t.Context(), filepath.Join(packages, "venv", "bin", "python"), "-B", c.script)
		cmd.Dir = c.kit.dir
		return cmd
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(c.kit.dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(packages, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, c.script)
	cmd.Dir = dir
	return cmd
}

var seeds atomic.Int64

// firstSeed returns the first of a million seeds for one client.
func firstSeed() int64 { return seeds.Add(1) * 1_000_000 }
