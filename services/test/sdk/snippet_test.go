package sdk

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var snippet = regexp.MustCompile("(?s)```python\n(from openai.*?)```")

// TestReadmesSnippetPrintsTextOrTheError runs the README's SDK snippet against
// a model that answers, and against failing ones: it prints the reason.
func TestReadmesSnippetPrintsTextOrTheError(t *testing.T) {
	t.Parallel()
	_, packages := pythonKit.install(t)
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":{"message":"the model is on holiday","type":"invalid_request_error"}}`)
	}))
	t.Cleanup(refusing.Close)
	url := startDev(t, "--model-url", refusing.URL+"/v1")
	m := snippet.FindStringSubmatch(read(t, filepath.Join("..", "..", "..", "README.md")))
	if m == nil {
		t.Fatal("the README has no SDK snippet")
	}
	here := strings.NewReplacer("http://127.0.0.1:8080", url, `open(".windlass/api.key").read()`, `"`+apiKey+`"`).Replace(m[1])
	for model, want := range map[string]string{"demo": "Paris", "other": "the model is on holiday"} {
		script := strings.Replace(here, `model="demo"`, `model="`+model+`"`, 1)
		out, err := exec.CommandContext(t.Context(), filepath.Join(packages, "venv", "bin", "python"), "-c", script).CombinedOutput()
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("with the model %s the snippet prints %s (%v), want %q", model, out, err, want)
		}
	}
}
