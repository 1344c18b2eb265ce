package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is for a machine that has other things to do.
const patience = time.Minute

// running is one `windlass dev`.
type running struct {
	cmd      *exec.Cmd
	url      string
	nats     string
	greeting output // what it prints
	lines    output // what it reports
}

// output is what a process writes, to be read meanwhile.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// await waits until the output matches.
func (o *output) await(t *testing.T, what *regexp.Regexp) []string {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		if m := what.FindStringSubmatch(o.String()); m != nil {
			return m
		}
		if time.Now().After(deadline) {
			t.Fatalf("no %s in %s:\n%s", what, patience, o)
		}
		time.Sleep(10 * time.Millisecond) //nolint:forbidigo // polls another process, with a deadline
	}
}

var (
	ready = regexp.MustCompile(`ready on (\S+) \(.*\)\. NATS: (\S+)`)
	// greeted is the end of what dev prints when it is ready.
	greeted = regexp.MustCompile(`(?m)^stop .*\n`)
)

// startDev starts it on free ports and waits until it says that it is ready.
func startDev(t *testing.T, data string, more ...string) *running {
	t.Helper()
	args := append([]string{"dev", "--data", data, "--listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0"}, more...)
	d := &running{cmd: exec.CommandContext(t.Context(), os.Args[0], args...)}
	d.cmd.Env = append(d.cmd.Environ(), "WL_TEST_KEY=KEY-1234") // of the registries of tests
	d.cmd.Stdout, d.cmd.Stderr = &d.greeting, &d.lines
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill()
		if t.Failed() {
			t.Logf("dev reported:\n%s", &d.lines)
		}
	})
	timer := time.AfterFunc(patience, func() { _ = d.cmd.Process.Kill() })
	defer timer.Stop()
	d.greeting.await(t, greeted)
	m := ready.FindStringSubmatch(d.greeting.String())
	d.url, d.nats = m[1], m[2]
	return d
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

// documents are the README and the named files of docs.
func documents(t *testing.T, names ...string) string {
	t.Helper()
	root := filepath.Join("..", "..", "..")
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	for _, name := range names {
		var more []byte
		if err == nil {
			more, err = os.ReadFile(filepath.Join(root, "docs", name))
		}
		text = append(text, more...)
	}
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
	blocks := curlBlock.FindAllStringSubmatch(documents(t, "api.md"), -1)
	if len(blocks) != 3 {
		t.Fatalf("the README and docs/api.md have %d requests, want 3", len(blocks))
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

// file writes a file for a test and returns its path.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// closedAddress is one at which nothing listens.
func closedAddress(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
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
	closed := closedAddress(t)
	broken := file(t, "registry.yaml", "models:\n  - name: x\n    upstreem: {}\n")
	unset := file(t, "unset.yaml", "models:\n  - name: m\n    upstream: {url: http://h/v1, credential: {env: WL_TEST_UNSET}}\n")
	unsetTool := file(t, "tool.yaml", "tools:\n  - name: t\n    url: http://h\n    credential: {file: /no/such/token}\n")
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
			if strings.Contains(stderr.String(), "SECRET") {
				t.Errorf("dev shows a password: %q", stderr.String())
			}
			waits := len(lines) == 2 && waiting.MatchString(lines[0]) && strings.Contains(lines[0], closed)
			if strings.HasPrefix(name, "a dead ") != waits {
				t.Errorf("dev said %q, want it to say once on what it waits", stderr.String())
			}
			if len(lines) > 1 && !waits && !strings.Contains(name, "flag") { // a wrong flag shows the usage, too
				t.Errorf("dev said %d lines, want one: %q", len(lines), stderr.String())
			}
		})
	}
}

var waiting = regexp.MustCompile(`check +(NATS|the database) at \S+ does not answer yet.*  → dev waits for up to 10s$`)

// natsCommands are those of docs/inspect.md.
var natsCommands = []string{
	"nats stream ls",
	"nats consumer report WINDLASS_TOOL",
	"nats stream subjects WINDLASS_TOOL",
	"nats sub --stream WINDLASS_STEP --all 'windlass.step.*.<id>.>' --translate 'windlass decode'",
}

func TestReadmesLooksInsideWork(t *testing.T) {
	t.Parallel()
	text := documents(t, "inspect.md")
	cli := natsCLI(t)
	d := startDev(t, dataDir(t))
	answer := d.call(t, http.MethodPost, "/v1/responses", `{"model": "demo", "input": "The weather in Oslo and Rome?",
		"tools": [{"type": "mcp", "server_label": "windlass"}]}`)
	id := strings.TrimPrefix(answer["id"].(string), "resp_")
	for _, command := range natsCommands {
		if !strings.Contains(text, command) {
			t.Errorf("docs/inspect.md does not have %q", command)
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

// TestDeadLettersCanBeRead holds that the documents' command works on every
// entry of WINDLASS_DEAD: a letter, and the advisory that comes with it.
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
	for _, page := range []string{"inspect.md", "nats.md"} {
		if !strings.Contains(documents(t, page), "nats "+command) {
			t.Errorf("docs/%s does not have the command", page)
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
			t.Skip("SKIPPED: there is no nats CLI in .bin or on the path, so the commands of the documents were not tried; `task tools` builds it")
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
	all, err := os.ReadDir(filepath.Join("..", "..", "..", "docs"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range all {
		names = append(names, entry.Name())
	}
	text := documents(t, names...)
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
					t.Errorf("%s reads %s, which neither the README nor docs name", path, name)
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
