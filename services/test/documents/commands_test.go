package documents

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/services/test/program"
)

// documents returns the README and the named files of docs.
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
	data := program.DataDir(t)
	d := program.StartDev(t, data)
	here := strings.NewReplacer("http://127.0.0.1:8080", d.URL, ".windlass/", data+"/")
	blocks := curlBlock.FindAllStringSubmatch(documents(t, "api.md"), -1)
	if len(blocks) != 3 {
		t.Fatalf("the README and docs/api.md have %d requests, want 3", len(blocks))
	}
	answers := make([]struct {
		ID, Status string
		Output     []struct{ Type string }
	}, len(blocks))
	for i, block := range blocks {
		script := here.Replace(block[1])
		out, err := exec.CommandContext(t.Context(), "sh", "-c", script).Output()
		if err != nil {
			t.Fatalf("%s: %v", script, err)
		}
		if head, body, shown := strings.Cut(string(out), "\r\n\r\n"); shown && strings.HasPrefix(head, "HTTP/") {
			if !strings.Contains(head, " 200 ") { // embeddings: only the head matters
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
	if got := d.Call(t, http.MethodPost, "/v1/responses/"+answers[1].ID+"/cancel", ""); got["status"] != "cancelled" {
		t.Errorf("the cancel answered %v", got)
	}
	if got := d.Call(t, http.MethodGet, "/v1/responses/"+answers[0].ID+"/steps", ""); len(got["data"].([]any)) != 4 {
		t.Errorf("the audit trail is %v, want 4 steps", got)
	}
	d.Stop(t)
}

// natsCommands are the commands of docs/inspect.md.
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
	d := program.StartDev(t, program.DataDir(t))
	answer := d.Call(t, http.MethodPost, "/v1/responses", `{"model": "demo", "input": "The weather in Oslo and Rome?",
		"tools": [{"type": "mcp", "server_label": "windlass"}]}`)
	id := strings.TrimPrefix(answer["id"].(string), "resp_")
	for _, command := range natsCommands {
		if !strings.Contains(text, command) {
			t.Errorf("docs/inspect.md does not have %q", command)
		}
		script := strings.NewReplacer("<id>", id, "windlass decode", os.Args[0]+" decode").Replace(command)
		script = strings.Replace(script, "nats ", cli+" --server "+d.NATS+" ", 1)
		if strings.Contains(script, " sub ") {
			script += " --count 5 --wait 20s --raw"
		}
		cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
		timer := time.AfterFunc(program.Patience, func() { _ = cmd.Process.Kill() })
		out, err := cmd.CombinedOutput()
		timer.Stop()
		if err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
		if strings.Contains(script, " sub ") && !bytes.Contains(out, []byte(`\"city\":\"Oslo\"`)) {
			t.Errorf("%s shows no result of the tool:\n%s", script, out)
		}
	}
	d.Stop(t)
}

// TestDeadLettersCanBeRead holds that the documents' command works on every
// entry of WINDLASS_DEAD: a dead letter, and the advisory that comes with it.
func TestDeadLettersCanBeRead(t *testing.T) {
	t.Parallel()
	cli := natsCLI(t)
	d := program.StartDev(t, program.DataDir(t))
	nats := func(args string) string {
		ctx, cancel := context.WithTimeout(t.Context(), program.Patience)
		defer cancel()
		out, err := exec.CommandContext(ctx, "sh", "-c", cli+" --server "+d.NATS+" "+args).CombinedOutput()
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
	d.Stop(t)
}

// natsCLI returns the path of the nats CLI. It skips the test if there is no
// CLI.
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
			if strings.Contains(path, filepath.Join("services", "cli")) {
				return nil // --help documents its flags
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
