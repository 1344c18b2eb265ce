package documents

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/services/test/program"
)

// block returns the README's only block of a language that contains some words.
func block(t *testing.T, language, words string) string {
	t.Helper()
	var found []string
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(documents(t), -1) {
		if strings.Contains(m[1], words) {
			found = append(found, m[1])
		}
	}
	if len(found) != 1 {
		t.Fatalf("the README has %d blocks of %s with %q, want 1", len(found), language, words)
	}
	return found[0]
}

// TestReadmesToolWorks runs the README's tool and registers it as the README
// does.
func TestReadmesToolWorks(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("SKIPPED: there is no python3 on this machine, so the README's tool was not tried")
	}
	at := program.ClosedAddress(t)
	_, port, _ := strings.Cut(at, ":")
	script := strings.Replace(block(t, "python", "HTTPServer"), "9000", port, 1)
	tool := exec.CommandContext(t.Context(), "python3", "-c", script)
	if err := tool.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tool.Process.Kill(); _ = tool.Wait() })
	await(t, at)

	model := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		message := `{"role":"assistant","content":"It is shipped."}`
		if strings.Contains(string(body), "lookup_order") && !strings.Contains(string(body), "shipped") {
			message = `{"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"lookup_order","arguments":"{\"number\":\"42\"}"}}]}`
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"choices":[{"index":0,"message":%s,"finish_reason":"stop"}]}`, message)
	}))
	t.Cleanup(model.Close)
	config := strings.Replace(block(t, "yaml", "lookup_order"), "127.0.0.1:9000", at, 1)
	d := program.StartDev(t, program.DataDir(t), "--config", program.WriteFile(t, "registry.yaml", config), "--model-url", model.URL+"/v1")
	answer := d.Call(t, http.MethodPost, "/v1/responses", `{"model": "small", "input": "Where is order 42?", "tools": [{"type": "mcp", "server_label": "windlass"}]}`)
	text, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "It is shipped.") || !strings.Contains(string(text), `\"state\": \"shipped\"`) {
		t.Errorf("the response is %s, want the order's state and a message", text)
	}
	d.Stop(t)
}

// await waits until something listens.
func await(t *testing.T, address string) {
	t.Helper()
	for deadline := time.Now().Add(program.Patience); ; {
		resp, err := http.Get("http://" + address)
		if err == nil {
			_ = resp.Body.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing listens at %s: %v", address, err)
		}
		time.Sleep(20 * time.Millisecond) //nolint:forbidigo // polls another process, with a deadline
	}
}

// TestReadmesBuildLeavesPrograms holds that the README's build command writes
// programs: with several mains, go build writes them only if it gets a
// directory.
func TestReadmesBuildLeavesPrograms(t *testing.T) {
	t.Parallel()
	block(t, "sh", "go build -o bin/ ./services/cmd/...")
	list := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Name}}", "./services/cmd/...")
	list.Dir = filepath.Join("..", "..", "..")
	out, err := list.Output()
	if got := strings.Count(string(out), "main\n"); err != nil || got != 6 {
		t.Errorf("./services/cmd/... has %d programs (%v), want 6", got, err)
	}
}
