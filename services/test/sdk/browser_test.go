package sdk

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// pageHost resolves to this machine in the test's browser, but is not a
// loopback name.
const pageHost = "pages.example"

// TestBrowser holds that pages of allowed origins use Windlass from a real
// browser, by fetch and by npm openai with dangerouslyAllowBrowser. dev allows
// the pages of its own machine.
func TestBrowser(t *testing.T) {
	t.Parallel()
	chromium := browser(t)
	_, packages := nodeKit.install(t)
	url := startDev(t)
	for _, tt := range []struct {
		name, host string
		denied     bool
		scenarios  string
	}{
		{"a page of localhost", "localhost", false, "fetch_stream fetch_refused sdk_create sdk_stream sdk_tools sdk_chat sdk_refused sdk_cancelled"},
		{"a page of another host", pageHost, true, "fetch_denied sdk_denied"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := record(t, url)
			var over []string
			for _, l := range visit(t, chromium, page{packages: packages, host: tt.host, api: r.URL, denied: tt.denied}) {
				over = append(over, l.Scenario)
				if l.Error != "" {
					t.Errorf("%s: %s", l.Scenario, l.Error)
				}
			}
			if got, want := over, strings.Fields(tt.scenarios); !slices.Equal(got, want) {
				t.Errorf("the page went through %q, want %q", got, want)
			}
			r.Close()
			var asked []*exchange
			for _, x := range r.exchanges {
				if x.request.Method != http.MethodOptions {
					asked = append(asked, x)
				}
			}
			judge(t, asked)
		})
	}
}

// browser returns the path of Chromium, and skips the test without one.
func browser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if program, err := exec.LookPath(name); err == nil {
			return program
		}
	}
	t.Skipf("LEFT OUT: %s: there is no Chromium; on Debian and Ubuntu: apt-get install chromium", t.Name())
	return ""
}

// page is a page and its origin.
type page struct {
	packages string // npm's
	host     string
	api      string
	denied   bool // its origin may not use the API
}

// visit opens the page in a browser and returns its scenarios.
func visit(t *testing.T, chromium string, p page) []line {
	t.Helper()
	results := make(chan []line, 1)
	server := httptest.NewServer(p.serve(t, results))
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--enable-logging=stderr",
		"--host-resolver-rules=MAP "+pageHost+" 127.0.0.1, MAP localhost 127.0.0.1", "--remote-debugging-port=0", // which keeps it open
		"--user-data-dir="+t.TempDir(), "http://"+net.JoinHostPort(p.host, port)+"/page.html")
	var said bytes.Buffer
	cmd.Stderr, cmd.WaitDelay = &said, time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var how error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		how = cmd.Wait()
	}()
	select {
	case lines := <-results:
		_ = cmd.Process.Kill()
		<-ended
		for text := range strings.Lines(said.String()) { // the only place with the reason why a request was blocked
			if strings.Contains(text, ":CONSOLE:") {
				t.Log(strings.TrimSpace(text))
			}
		}
		return lines
	case <-ended:
		t.Fatalf("the browser ended with %v and said:\n%s", how, said.Bytes())
	case <-time.After(patience):
		_ = cmd.Process.Kill()
		<-ended
		t.Fatalf("the page had no result in %s; the browser said:\n%s", patience, said.Bytes())
	}
	return nil
}

// serve serves the page, npm's packages, and the page's requests to the test.
func (p page) serve(t *testing.T, results chan<- []line) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", scripts("browser"))
	mux.Handle("/openai/", http.StripPrefix("/openai/", scripts(filepath.Join(p.packages, "node_modules", "openai"))))
	mux.HandleFunc("GET /config", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"api": p.api, "key": apiKey, "denied": p.denied})
	})
	mux.HandleFunc("POST /result", func(w http.ResponseWriter, r *http.Request) {
		var lines []line
		if err := json.NewDecoder(r.Body).Decode(&lines); err != nil {
			t.Errorf("the page's result: %v", err)
		}
		results <- lines
	})
	return mux
}

// scripts serves modules with the type that browsers demand.
func scripts(dir string) http.Handler {
	files := http.FileServer(http.Dir(dir))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".mjs") {
			w.Header().Set("Content-Type", "text/javascript")
		}
		files.ServeHTTP(w, r)
	})
}
