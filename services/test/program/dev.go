package program

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// Dev is a running `windlass dev`.
type Dev struct {
	URL      string
	NATS     string
	Key      string // of the API; empty if the arguments give another
	Greeting Output // its standard output
	Lines    Output // its standard error

	cmd *exec.Cmd
}

// Output is what a process writes. It can be read while the process writes.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String returns what was written so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Await waits until the output matches.
func (o *Output) Await(t *testing.T, what *regexp.Regexp) {
	t.Helper()
	for deadline := time.Now().Add(Patience); !what.MatchString(o.String()); {
		if time.Now().After(deadline) {
			t.Fatalf("no %s in %s:\n%s", what, Patience, o)
		}
		time.Sleep(10 * time.Millisecond) //nolint:forbidigo // polls another process, with a deadline
	}
}

var (
	ready = regexp.MustCompile(`ready on (\S+) \(.*\)\. NATS: (\S+)`)
	// greeted is the end of what dev prints when it is ready.
	greeted = regexp.MustCompile(`(?m)^stop .*\n`)
)

// StartDev starts a dev on free ports and waits until it prints that it is
// ready.
func StartDev(t *testing.T, data string, args ...string) *Dev {
	t.Helper()
	args = append([]string{"dev", "--data", data, "--listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0"}, args...)
	// Not t.Context(): it ends before the test's clean-up, which may call Stop.
	d := &Dev{cmd: exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0], args...)}
	d.cmd.Env = append(d.cmd.Environ(), "WL_TEST_KEY=KEY-1234") // for the registries of tests
	d.cmd.Stdout, d.cmd.Stderr = &d.Greeting, &d.Lines
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill()
		if t.Failed() {
			t.Logf("dev reported:\n%s", &d.Lines)
		}
	})
	timer := time.AfterFunc(Patience, func() { _ = d.cmd.Process.Kill() })
	defer timer.Stop()
	d.Greeting.Await(t, greeted)
	m := ready.FindStringSubmatch(d.Greeting.String())
	d.URL, d.NATS = m[1], m[2]
	if key, err := os.ReadFile(filepath.Join(data, "api.key")); err == nil {
		d.Key = string(key)
	}
	return d
}

// Stop is Ctrl-C.
func (d *Dev) Stop(t *testing.T) {
	t.Helper()
	if err := d.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(Patience, func() { _ = d.cmd.Process.Kill() })
	defer timer.Stop()
	if err := d.cmd.Wait(); err != nil {
		t.Errorf("dev ended with %v after an interrupt, want 0", err)
	}
}

// Kill is kill -9.
func (d *Dev) Kill(t *testing.T) {
	t.Helper()
	if err := d.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = d.cmd.Wait() // it was killed
}

// Call calls the API with dev's key and returns the JSON of the answer.
func (d *Dev) Call(t *testing.T, method, path, body string) map[string]any {
	t.Helper()
	_, answer := d.CallWithKey(t, d.Key, method, path, body)
	return answer
}

// CallWithKey calls the API with a key.
func (d *Dev) CallWithKey(t *testing.T, key, method, path, body string) (status int, answer map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, d.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatalf("%s %s answered HTTP %d and no JSON: %v", method, path, resp.StatusCode, err)
	}
	return resp.StatusCode, answer
}
