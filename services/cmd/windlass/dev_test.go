package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"io/fs"
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
)

// patience is for a machine that has other things to do.
const patience = time.Minute

// running is one `windlass dev`.
type running struct {
	cmd  *exec.Cmd
	url  string
	nats string
}

var ready = regexp.MustCompile(`ready on (\S+) \(.*\)\. NATS: (\S+)`)

// startDev starts it on free ports and waits until it says that it is ready.
func startDev(t *testing.T, data string) *running {
	t.Helper()
	d := &running{cmd: exec.CommandContext(t.Context(), os.Args[0],
		"dev", "--data", data, "--listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0")}
	d.cmd.Stderr = os.Stderr
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.cmd.Process.Kill() })
	timer := time.AfterFunc(patience, func() { _ = d.cmd.Process.Kill() })
	defer timer.Stop()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := ready.FindStringSubmatch(lines.Text()); m != nil {
			d.url, d.nats = m[1], m[2]
			go func() { _, _ = io.Copy(io.Discard, out) }() // ends with the process
			return d
		}
	}
	t.Fatalf("dev ended, or was not ready in %s", patience)
	return nil
}

// stop is Ctrl-C.
func (d *running) stop(t *testing.T) {
	t.Helper()
	if err := d.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(patience, func() { _ = d.cmd.Process.Kill() })
	defer timer.Stop()
	if err := d.cmd.Wait(); err != nil {
		t.Errorf("dev ended with %v after an interrupt, want 0", err)
	}
}

func (d *running) call(t *testing.T, method, path, body string) map[string]any {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, d.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer wl-dev")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatalf("%s %s answered HTTP %d and no JSON: %v", method, path, resp.StatusCode, err)
	}
	return answer
}

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var curlBlock = regexp.MustCompile("(?s)```sh\n(curl .*?)```")

func TestReadmesRequestsWork(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("SKIPPED: there is no curl on this machine, so the README's requests were not tried")
	}
	d := startDev(t, dataDir(t))
	blocks := curlBlock.FindAllStringSubmatch(readme(t), -1)
	if len(blocks) != 3 {
		t.Fatalf("the README has %d requests, want 3", len(blocks))
	}
	answers := make([]struct {
		ID, Status string
		Output     []struct{ Type string }
	}, len(blocks))
	for i, block := range blocks {
		script := strings.ReplaceAll(block[1], "http://127.0.0.1:8080", d.url)
		out, err := exec.CommandContext(t.Context(), "sh", "-c", script).Output()
		if err != nil {
			t.Fatalf("%s: %v", script, err)
		}
		if head, body, shown := strings.Cut(string(out), "\r\n\r\n"); shown && strings.HasPrefix(head, "HTTP/") {
			if !strings.Contains(head, " 200 ") { // embeddings, of which only the head is of interest
				t.Errorf("%s answered %s", script, head)
			}
			out = []byte(body)
		}
		if err := json.Unmarshal(out, &answers[i]); err != nil {
			t.Fatalf("%s answered %s: %v", script, out, err)
		}
	}
	types := make([]string, 0, 4)
	for _, o := range answers[0].Output {
		types = append(types, o.Type)
	}
	if got := strings.Join(types, " "); answers[0].Status != "completed" || got != "mcp_list_tools mcp_call mcp_call message" {
		t.Errorf("the first answer is %s with %s, want it completed with the list of tools, two calls and a message", answers[0].Status, got)
	}
	if s := answers[1].Status; s != "queued" && s != "in_progress" {
		t.Errorf("the background answer is %s, want it unfinished", s)
	}
	if got := d.call(t, http.MethodPost, "/v1/responses/"+answers[1].ID+"/cancel", ""); got["status"] != "cancelled" {
		t.Errorf("the cancel answered %v", got)
	}
	if got := d.call(t, http.MethodGet, "/v1/responses/"+answers[0].ID+"/steps", ""); len(got["data"].([]any)) != 4 {
		t.Errorf("the audit trail is %v, want 4 steps", got)
	}
	d.stop(t)
}

func TestRunsGoOnAfterDevWasKilled(t *testing.T) {
	t.Parallel()
	data := dataDir(t)
	d := startDev(t, data)
	id, _ := d.call(t, http.MethodPost, "/v1/responses", `{"model": "demo", "background": true,
		"tools": [{"type": "mcp", "server_label": "windlass"}],
		"input": "plan: {\"seed\": 7, \"rounds\": 2, \"width\": 3, \"tool_ms\": 1500}"}`)["id"].(string)
	if err := d.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = d.cmd.Wait() // it was killed
	d = startDev(t, data)
	for deadline := time.Now().Add(patience); ; {
		got := d.call(t, http.MethodGet, "/v1/responses/"+id, "")
		if got["status"] == "completed" {
			break
		}
		if time.Now().After(deadline) || got["status"] == "failed" {
			t.Fatalf("after the restart the run is %v", got["status"])
		}
		time.Sleep(50 * time.Millisecond) //nolint:forbidigo // polls another process, with a deadline
	}
	postmaster := postmasterPID(t, data)
	d.stop(t)
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
	broken := filepath.Join(t.TempDir(), "registry.yaml")
	if err := os.WriteFile(broken, []byte("models:\n  - name: x\n    upstreem: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"a busy port":           {[]string{"--listen", busy.Addr().String()}, "address already in use"},
		"a busy NATS port":      {[]string{"--nats-listen", busy.Addr().String()}, "--nats-listen"},
		"no Postgres there":     {[]string{"--pg-bin", t.TempDir()}, "no postgres"},
		"a broken registry":     {[]string{"--config", broken}, "registry.yaml:3"},
		"an unknown flag":       {[]string{"--lisen", "x"}, "unknown flag --lisen"},
		"a missing config file": {[]string{"--config", broken + "x"}, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"dev", "--data", dataDir(t), "--listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0"}, tt.args...)
			cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
			defer timer.Stop()
			if err := cmd.Run(); err == nil {
				t.Error("dev ended well")
			}
			lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
			if last := lines[len(lines)-1]; !strings.HasPrefix(last, "windlass: ") || !strings.Contains(last, tt.want) {
				t.Errorf("dev ended with %q, want one line with %q", stderr.String(), tt.want)
			}
			if len(lines) > 1 && !strings.Contains(name, "flag") { // a wrong flag shows the usage, too
				t.Errorf("dev said %d lines, want one: %q", len(lines), stderr.String())
			}
		})
	}
}

// natsCommands are the README's, by the words that find them there.
var natsCommands = []string{
	"nats stream ls",
	"nats consumer report WINDLASS_TOOL",
	"nats stream subjects WINDLASS_TOOL",
	"nats sub --stream WINDLASS_STEP --all 'windlass.step.*.<id>.>' --translate 'windlass decode'",
}

func TestReadmesLooksInsideWork(t *testing.T) {
	t.Parallel()
	text := readme(t)
	cli := natsCLI(t)
	d := startDev(t, dataDir(t))
	answer := d.call(t, http.MethodPost, "/v1/responses", `{"model": "demo", "input": "The weather in Oslo and Rome?",
		"tools": [{"type": "mcp", "server_label": "windlass"}]}`)
	id := strings.TrimPrefix(answer["id"].(string), "resp_")
	for _, command := range natsCommands {
		if !strings.Contains(text, command) {
			t.Errorf("the README does not have %q", command)
		}
		script := strings.NewReplacer("<id>", id, "windlass decode", os.Args[0]+" decode").Replace(command)
		script = strings.Replace(script, "nats ", cli+" --server "+d.nats+" ", 1)
		if strings.Contains(script, " sub ") {
			script += " --count 5 --wait 20s --raw"
		}
		cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
		timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		out, err := cmd.CombinedOutput()
		timer.Stop()
		if err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
		if strings.Contains(script, " sub ") && !bytes.Contains(out, []byte(`\"city\":\"Oslo\"`)) {
			t.Errorf("%s shows no result of the tool:\n%s", script, out)
		}
	}
	d.stop(t)
}

// TestDeadLettersCanBeRead holds that the README's command works on every entry
// of WINDLASS_DEAD: a letter, and the advisory that comes with it.
func TestDeadLettersCanBeRead(t *testing.T) {
	t.Parallel()
	cli := natsCLI(t)
	d := startDev(t, dataDir(t))
	nats := func(args string) string {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		out, err := exec.CommandContext(ctx, "sh", "-c", cli+" --server "+d.nats+" "+args).CombinedOutput()
		if err != nil {
			t.Errorf("nats %s: %v\n%s", args, err, out)
		}
		return string(out)
	}
	nats("pub windlass.turn.demo.0a.1-1-1 'not a command'")
	command := "sub --stream WINDLASS_DEAD --all --translate 'windlass decode --subject {{Subject}}'"
	for _, page := range []string{"README.md", filepath.Join("docs", "nats.md")} {
		text, err := os.ReadFile(filepath.Join("..", "..", "..", page))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "nats "+command) {
			t.Errorf("%s does not have the command", page)
		}
	}
	out := nats(strings.Replace(command, "windlass decode", os.Args[0]+" decode", 1) + " --raw --count 2 --wait 20s")
	for _, want := range []string{`"code":"undecodable"`, `"type":"io.nats.jetstream.advisory.v1.terminated"`} {
		if !strings.Contains(out, want) {
			t.Errorf("the entries do not have %s:\n%s", want, out)
		}
	}
	d.stop(t)
}

// natsCLI is the path of the nats CLI. The test is skipped without one.
func natsCLI(t *testing.T) string {
	t.Helper()
	cli := filepath.Join("..", "..", "..", ".bin", "nats")
	if _, err := os.Stat(cli); err != nil {
		if cli, err = exec.LookPath("nats"); err != nil {
			t.Skip("SKIPPED: there is no nats CLI in .bin or on the path, so the README's looks inside were not tried; `task tools` builds it")
		}
	}
	cli, err := filepath.Abs(cli)
	if err != nil {
		t.Fatal(err)
	}
	return cli
}

var settingTag = regexp.MustCompile(`env:"(WINDLASS_[A-Z_]+)`)

func TestReadmeNamesEverySettingOfTheServices(t *testing.T) {
	t.Parallel()
	text := readme(t)
	root := filepath.Join("..", "..", "..")
	seen := 0
	for _, dir := range []string{"pkg", "services"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			if strings.Contains(path, filepath.Join("cmd", "windlass")) {
				return nil // its flags are in --help
			}
			source, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, tag := range settingTag.FindAllSubmatch(source, -1) {
				seen++
				if name := string(tag[1]); !strings.Contains(text, "`"+name+"`") {
					t.Errorf("%s reads %s, which the README does not name", path, name)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 20 {
		t.Errorf("found %d settings in the source, want 20 at least: the test looks in the wrong place", seen)
	}
}
