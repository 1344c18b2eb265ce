package guides

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is for a machine that has other things to do.
const patience = 2 * time.Minute

// reader follows one guide.
type reader struct {
	dir       string
	addresses map[string]string // what a guide writes: what is there
	serving   map[string]*server
	keyID     string // of the last key that was created
	response  string // the last id of a response, without its prefix
}

func newReader(t *testing.T, bin, model string) *reader {
	t.Helper()
	// t.TempDir is too long for the path of a Unix socket.
	dir, err := os.MkdirTemp("", "guide") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Symlink(bin, filepath.Join(dir, "bin")); err != nil {
		t.Fatal(err)
	}
	tool := freeAddress(t)
	_, port, _ := strings.Cut(tool, ":")
	r := &reader{dir: dir, serving: map[string]*server{}, addresses: map[string]string{
		"127.0.0.1:9000": tool, `"127.0.0.1", 9000`: `"127.0.0.1", ` + port, "127.0.0.1:8090": freeAddress(t),
		"http://localhost:11434/v1": model, "https://api.example.com/v1": model,
	}}
	t.Cleanup(func() {
		for name := range r.serving {
			r.stop(name)
		}
	})
	return r
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

var buildFlag = regexp.MustCompile(`go build -o (\S+) `)

// adapt replaces addresses and places by those of the test.
func (r *reader) adapt(t *testing.T, text string) string {
	t.Helper()
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	text = strings.ReplaceAll(text, "go run ./services/cmd/windlass", "windlass")
	text = buildFlag.ReplaceAllString(text, "go build -C "+top+" -o "+r.dir+"/$1 ")
	for from, to := range r.addresses {
		text = strings.ReplaceAll(text, from, to)
	}
	text = strings.ReplaceAll(text, "jq4s6m2rtaxk5v7c", r.keyID)
	return strings.ReplaceAll(text, "<id>", r.response)
}

// prelude fails a script at its first failure, keeps what it exports for the
// next one, and lets curl fail for HTTP errors.
const prelude = `set -e -o pipefail
[ -f exports ] && . ./exports
curl() { command curl -sS --fail-with-body --max-time 60 "$@"; }
trap 'export -p >exports' EXIT
`

func (r *reader) shell(t *testing.T, script string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
	cmd.Dir = r.dir
	cmd.Env = append(cmd.Environ(), "PATH="+filepath.Join(r.dir, "bin")+":"+tools(t)+":"+os.Getenv("PATH"), //nolint:forbidigo // for children
		"NATS_URL="+r.addresses["127.0.0.1:4222"])
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// tools is the directory of tools built by task tools.
func tools(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join(root, ".bin"))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var (
	newKey     = regexp.MustCompile(`\bwl_([a-z0-9]+)_`)
	responseID = regexp.MustCompile(`\bresp_([0-9a-f]{32})\b`)
	failed     = regexp.MustCompile(`"status": ?"failed"`)
)

// run runs a script to its end.
func (r *reader) run(t *testing.T, script string) {
	t.Helper()
	cmd := r.shell(t, prelude+r.adapt(t, script))
	timer := time.AfterFunc(5*patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	out, err := cmd.CombinedOutput()
	if err != nil || failed.Match(out) {
		t.Errorf("%s\nfails: %v\n%s", script, err, out)
	}
	if m := newKey.FindSubmatch(out); m != nil {
		r.keyID = string(m[1])
	}
	if m := responseID.FindSubmatch(out); m != nil {
		r.response = string(m[1])
	}
}

// server is a command that serves.
type server struct {
	cmd   *exec.Cmd
	ended chan struct{}
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

var greeting = regexp.MustCompile(`(?s)ready on http://(\S+) \(.*\)\. NATS: (\S+).*\nhealth +http://(\S+)/livez.*\nstop `)

// serve starts a command that serves, in place of an earlier one of its name,
// and waits until it answers.
func (r *reader) serve(t *testing.T, name, script string) {
	t.Helper()
	r.stop(name)
	script = r.adapt(t, strings.TrimSpace(script))
	if name == "dev" {
		script += " --listen 127.0.0.1:0 --nats-listen 127.0.0.1:0 --admin-listen 127.0.0.1:0"
	}
	cmd := r.shell(t, script)
	said := &output{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	limit := time.After(patience)
	running := &server{cmd, make(chan struct{})}
	r.serving[name] = running
	go func() { _ = cmd.Wait(); close(running.ended) }() // stop waits for it
	for tick := time.Tick(20 * time.Millisecond); ; {
		if m := greeting.FindStringSubmatch(said.String()); m != nil {
			r.addresses["127.0.0.1:8080"], r.addresses["127.0.0.1:4222"], r.addresses["127.0.0.1:8081"] = m[1], m[2], m[3]
			return
		}
		if name != "dev" && r.answers(name) {
			return
		}
		select {
		case <-tick:
		case <-running.ended:
			t.Fatalf("%s ends:\n%s", script, said)
		case <-limit:
			t.Fatalf("%s does not answer:\n%s", script, said)
		}
	}
}

func (r *reader) answers(name string) bool {
	at := r.addresses["127.0.0.1:8090"]
	if name == "tool.py" {
		at = r.addresses["127.0.0.1:9000"]
	}
	resp, err := http.Get(fmt.Sprintf("http://%s/healthz", at))
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return true
}

// stop is Ctrl-C.
func (r *reader) stop(name string) {
	running := r.serving[name]
	if running == nil {
		return
	}
	delete(r.serving, name)
	_ = syscall.Kill(-running.cmd.Process.Pid, syscall.SIGINT)
	select {
	case <-running.ended:
	case <-time.After(patience):
		_ = running.cmd.Process.Kill()
		<-running.ended
	}
}
