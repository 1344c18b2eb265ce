package startcheck

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/cli/dev/internal/console"
)

// dead returns an address at which nothing listens.
func dead(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func check(t *testing.T, file registry.File) []Finding {
	t.Helper()
	reg, err := registry.New(file)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	c := Checker{Advice: console.Advisor{Registry: reg}, HTTP: client}
	return c.Check(t.Context(), reg, func(name string) bool { return name == "demo" })
}

const (
	twoModels = `{"object":"list","data":[{"id":"qwen3:8b","object":"model","owned_by":"library"},{"id":"llama3.2:latest","object":"model"}]}`
	oneFile   = `{"object":"list","data":[{"id":"/models/a.gguf","object":"model","owned_by":"llamacpp"}]}`
)

func TestModels(t *testing.T) {
	t.Parallel()
	type script map[string]string // "GET /models": "200 body"
	for _, tt := range []struct {
		name, model string
		dialect     string
		script      script
		want        string // of what and hint; "" if nothing is wrong
	}{
		{"it lists the model", "qwen3:8b", "", script{"GET /v1/models": "200 " + twoModels}, ""},
		{"by its tag", "llama3.2", "", script{"GET /v1/models": "200 " + twoModels}, ""},
		{"as a path", "gemini-2.5", "", script{"GET /v1/models": `200 {"data":[{"id":"models/gemini-2.5"}]}`}, ""},
		{"it takes any name", "a", "", script{"GET /v1/models": "200 " + oneFile}, ""},
		{"a list without entries", "a", "", script{"GET /v1/models": `200 {"data":[]}`}, ""},
		{"every name", "*", "", script{"GET /v1/models": "200 " + twoModels}, ""},
		{
			"a name that is near", "qwen3-8b", "",
			script{"GET /v1/models": "200 " + twoModels},
			`does not list a model "qwen3-8b" did you mean qwen3:8b? Write it as model: in the upstream of model m`,
		},
		{
			"a name that is not", "gpt-5", "",
			script{"GET /v1/models": "200 " + twoModels},
			`does not list a model "gpt-5" it lists qwen3:8b, llama3.2:latest`,
		},
		{"Ollama's own list", "gpt-5", "", script{"GET /v1/models": `200 {"models":[{"name":"mistral"}]}`}, `it lists mistral`},
		{
			"a wrong key", "a", "",
			script{"GET /v1/models": `401 {"error":{"message":"invalid api key KEY-1234"}}`},
			`the upstream answered 401 "invalid api key [redacted]" check the file`,
		},
		{"a wrong key in other words", "a", "", script{"GET /v1/models": `403 {"detail":"forbidden"}`}, `403 "forbidden" check the file`},
		{"a wrong key, to a server without a list", "a", "", script{"POST /v1/chat/completions": `401 {"message":"who are you"}`}, `401 "who are you" check the file`},
		{"a loading server", "a", "", script{"GET /v1/models": `503 {"error":{"message":"Loading model"}}`}, `503 "Loading model" see the log`},
		{"an error page", "a", "", script{"GET /v1/models": `502 <html><h1>Bad Gateway</h1>`}, `the upstream answered 502 Bad Gateway see the log`},
		{"no list, but a call", "a", "", script{"POST /v1/chat/completions": `200 {"choices":[]}`}, ""},
		{"no list, but a call of the other dialect", "a", registry.Responses, script{"POST /v1/responses": `200 {"output":[]}`}, ""},
		{
			"no list and the model unknown", "a", "",
			script{"POST /v1/chat/completions": `404 {"error":{"message":"no model a"}}`},
			`the upstream answered 404 "no model a" check that`,
		},
		{"no list and the call refused", "a", "", script{"POST /v1/chat/completions": `400 {"error":"bad"}`}, ""},
		{"no list of every name", "*", "", script{}, ""},
		{"a base that lacks its end", "qwen3:8b", "", script{"GET /v1/v1/models": "200 " + twoModels}, `there is no API at http://127.0.0.1`},
		{"every name at a base that lacks its end", "*", "", script{"GET /v1/v1/models": "200 " + twoModels}, `/v1 write the URL as http://127.0.0.1`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				said, ok := tt.script[r.Method+" "+r.URL.Path]
				if !ok {
					said = "404 page not found"
				}
				status, body, _ := strings.Cut(said, " ")
				var code int
				_, _ = fmt.Sscan(status, &code)
				w.WriteHeader(code)
				fmt.Fprint(w, body)
			}))
			defer server.Close()
			key := t.TempDir() + "/key"
			write(t, key, "KEY-1234")
			name, upstream := "m", registry.Upstream{URL: server.URL + "/v1", Model: tt.model, Dialect: tt.dialect, Credential: registry.Credential{File: key}}
			if tt.model == "*" {
				name, upstream.Model = "*", ""
			}
			holds(t, check(t, registry.File{Models: []registry.Model{{Name: name, Upstream: upstream}}}), tt.want)
		})
	}
}

func TestServersThatDoNotAnswer(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	gone := dead(t)
	for _, tt := range []struct{ name, url, want string }{
		{"refused", "http://" + gone + "/v1?key=SECRET", "nothing answers at http://" + gone + "/v1: connection refused is the server at http://" + gone + "/v1 running?"},
		{"unknown host", "http://no-such-host.invalid/v1", "its host name no-such-host.invalid is not known"},
		{"silent", "http://" + silent.Addr().String(), "no answer in 3s"},
		{"no TLS", strings.Replace(plain.URL, "http:", "https:", 1), "it does not speak TLS; write http:// instead of https://"},
		{"a certificate", secure.URL, "its certificate is not valid"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			got := check(t, registry.File{Models: []registry.Model{{Name: "m", Upstream: registry.Upstream{URL: tt.url}}}})
			holds(t, got, tt.want)
			if took := time.Since(began); took > Within+5*time.Second {
				t.Errorf("took %s, want at most about %s", took, Within)
			}
		})
	}
}

func TestTools(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	t.Cleanup(server.Close)
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	gone := dead(t)
	for _, tt := range []struct {
		name, url string
		private   bool
		want      string
	}{
		{"it listens", server.URL, true, ""},
		{"a local one without the setting", server.URL, false, "the tool's address is not one that may be called: it is loopback or private, which needs allow_private: true at the tool in the registry file add allow_private: true to tool t if " + server.URL + " is yours"},
		{"localhost without the setting", "http://localhost:1/x", false, "add allow_private: true to tool t"},
		{"link-local is never one to call", "http://169.254.169.254/latest", true, "the tool's address is not one that may be called"},
		{"refused", "http://" + gone, true, "the tool refused the connection is the server at http://" + gone + " running?"},
		{"unknown host", "http://no-such-host.invalid", false, "the tool's host name could not be resolved"},
		{"a certificate", secure.URL, true, "the tool's certificate could not be verified"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := check(t, registry.File{Tools: []registry.Tool{{Name: "t", URL: tt.url, AllowPrivate: tt.private}, {Name: "demo", URL: "http://" + gone}}})
			holds(t, got, tt.want)
			if calls.Load() > 0 {
				t.Error("the tool was called")
			}
		})
	}
}

func TestServersAreAskedAsTheirSettingsSay(t *testing.T) {
	t.Parallel()
	got := make(chan *http.Request, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r
		fmt.Fprint(w, twoModels)
	}))
	defer server.Close()
	key := t.TempDir() + "/key"
	write(t, key, "KEY-1234")
	holds(t, check(t, registry.File{Models: []registry.Model{{Name: "deployment", Upstream: registry.Upstream{
		URL: server.URL + "/openai/v1/", Credential: registry.Credential{File: key},
		Settings: registry.Settings{Profile: registry.Azure, APIVersion: "preview", Headers: map[string]string{"X-Team": "a"}},
	}}}}), "")
	r := <-got
	if r.URL.String() != "/openai/v1/models?api-version=preview" || r.Header.Get("Api-Key") != "KEY-1234" || r.Header.Get("X-Team") != "a" || r.Header.Get("Authorization") != "" {
		t.Errorf("asked %s with %v", r.URL, r.Header)
	}
}

// holds compares the only finding with a part of its text.
func holds(t *testing.T, got []Finding, want string) {
	t.Helper()
	if want == "" {
		if len(got) > 0 {
			t.Errorf("found %v, want nothing", got)
		}
		return
	}
	if len(got) != 1 {
		t.Fatalf("found %v, want one thing: %s", got, want)
	}
	if text := got[0].What + " " + got[0].Hint; !strings.Contains(text, want) || strings.Contains(text, "KEY-1234") || strings.Contains(text, "SECRET") {
		t.Errorf("found\n%s\nwant\n%s", text, want)
	}
}

func TestAServerIsAskedForItsListOnce(t *testing.T) {
	t.Parallel()
	var lists atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		lists.Add(1)
		fmt.Fprint(w, twoModels)
	}))
	defer server.Close()
	var file registry.File
	for i := range 40 {
		file.Models = append(file.Models, registry.Model{Name: fmt.Sprint("m", i), Upstream: registry.Upstream{URL: server.URL, Model: "qwen3:8b"}})
	}
	if got := check(t, file); len(got) > 0 || lists.Load() != 1 {
		t.Errorf("found %v by %d questions, want nothing by 1", got, lists.Load())
	}
}

func TestChecksEndWithTheirContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	reg, err := registry.New(registry.File{Models: []registry.Model{{Name: "m", Upstream: registry.Upstream{URL: "http://192.0.2.1"}}}})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	Checker{HTTP: http.DefaultClient}.Check(ctx, reg, func(string) bool { return false })
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("took %s after its context had ended", took)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
