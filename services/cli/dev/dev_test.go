package dev_test

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"windlass.dev/windlass/services/cli/internal/datafolder"
	"windlass.dev/windlass/services/test/program"
)

func TestRunsGoOnAfterDevWasKilled(t *testing.T) {
	t.Parallel()
	data := program.DataDir(t)
	d := program.StartDev(t, data)
	id, _ := d.Call(t, http.MethodPost, "/v1/responses", `{"model": "demo", "background": true,
		"tools": [{"type": "mcp", "server_label": "windlass"}],
		"input": "plan: {\"seed\": 7, \"rounds\": 2, \"width\": 3, \"tool_ms\": 1500}"}`)["id"].(string)
	d.Kill(t)
	d = program.StartDev(t, data)
	for deadline := time.Now().Add(program.Patience); ; {
		got := d.Call(t, http.MethodGet, "/v1/responses/"+id, "")
		if got["status"] == "completed" {
			break
		}
		if time.Now().After(deadline) || got["status"] == "failed" {
			t.Fatalf("after the restart the run is %v", got["status"])
		}
		time.Sleep(50 * time.Millisecond) //nolint:forbidigo // polls another process, with a deadline
	}
	postmaster := postmasterPID(t, data)
	d.Stop(t)
	if err := syscall.Kill(postmaster, 0); err == nil {
		t.Errorf("Postgres %d runs after dev has ended", postmaster)
	}
}

func postmasterPID(t *testing.T, data string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(data, "postgres", "pgdata", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestDevSaysInOneLineWhatIsWrong(t *testing.T) {
	t.Parallel()
	busy, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = busy.Close() }) // not by defer: the cases run after this function
	closed := program.ClosedAddress(t)
	broken := program.WriteFile(t, "registry.yaml", "models:\n  - name: x\n    upstreem: {}\n")
	unset := program.WriteFile(t, "unset.yaml", "models:\n  - name: m\n    upstream: {url: http://h/v1, credential: {env: WL_TEST_UNSET}}\n")
	unsetTool := program.WriteFile(t, "tool.yaml", "tools:\n  - name: t\n    url: http://h\n    credential: {file: /no/such/token}\n")
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"a busy port":           {[]string{"--listen", busy.Addr().String()}, "address already in use; end the program that has it, or write --listen 127.0.0.1:"},
		"a busy NATS port":      {[]string{"--nats-listen", busy.Addr().String()}, "or write --nats-listen 127.0.0.1:"},
		"a busy admin port":     {[]string{"--admin-listen", busy.Addr().String()}, "or write --admin-listen 127.0.0.1:"},
		"an unset credential":   {[]string{"--config", unset}, "the credential of model m is not there: set the environment variable WL_TEST_UNSET and start again"},
		"a tool's credential":   {[]string{"--config", unsetTool}, "the credential of tool t is not there: set the file /no/such/token and start again"},
		"a dead NATS":           {[]string{"--nats-url", "nats://" + closed}, "NATS at nats://" + closed + " did not answer in 10s"},
		"a dead database":       {[]string{"--database-url", "postgres://u:SECRET@" + closed + "/db"}, "the database at postgres://" + closed + "/db cannot be used"},
		"no Postgres there":     {[]string{"--pg-bin", t.TempDir()}, "no postgres"},
		"a broken registry":     {[]string{"--config", broken}, "registry.yaml:3"},
		"an unknown flag":       {[]string{"--lisen", "x"}, "unknown flag --lisen"},
		"a missing config file": {[]string{"--config", broken + "x"}, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"dev", "--data", program.DataDir(t), "--listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0"}, tt.args...)
			cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			timer := time.AfterFunc(program.Patience, func() { _ = cmd.Process.Kill() })
			defer timer.Stop()
			if err := cmd.Run(); err == nil {
				t.Error("dev ended well")
			}
			lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
			if last := lines[len(lines)-1]; !strings.HasPrefix(last, "windlass: ") || !strings.Contains(last, tt.want) {
				t.Errorf("dev ended with %q, want one line with %q", stderr.String(), tt.want)
			}
			if strings.Contains(stderr.String(), "SECRET") {
				t.Errorf("dev shows a password: %q", stderr.String())
			}
			waits := len(lines) == 2 && waiting.MatchString(lines[0]) && strings.Contains(lines[0], closed)
			if strings.HasPrefix(name, "a dead ") != waits {
				t.Errorf("dev said %q, want one line about what it waits for", stderr.String())
			}
			if len(lines) > 1 && !waits && !strings.Contains(name, "flag") { // a wrong flag shows the usage, too
				t.Errorf("dev said %d lines, want one: %q", len(lines), stderr.String())
			}
		})
	}
}

var waiting = regexp.MustCompile(`check +(NATS|the database) at \S+ does not answer yet.*  → dev waits for up to 10s$`)

func TestOneDevADataFolder(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	lock, err := datafolder.Folder(data).Lock()
	if err != nil {
		t.Fatal(err)
	}
	code, _, errs := program.RunExact(t, "dev", "--data", data, "--listen", "0", "--nats-listen", "0")
	if code != 1 || !strings.Contains(errs, "another windlass dev (process ") || !strings.Contains(errs, "another --data") {
		t.Errorf("a second dev exits with %d and says %q", code, errs)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := datafolder.Folder(data).Lock()
	if err != nil {
		t.Fatalf("after the first one ended: %v", err)
	}
	_ = again.Close()
}
