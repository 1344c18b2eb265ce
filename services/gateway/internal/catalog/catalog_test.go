package catalog

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/registry"
)

func TestReadTakesTheShapesOfServers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		want       []Entry
	}{
		{"OpenAI", `{"object":"list","data":[{"id":"b","object":"model","created":7,"owned_by":"x"},{"id":"a"}]}`, []Entry{{ID: "a"}, {"b", 7, "x"}}},
		{"Ollama", `{"models":[{"name":"llama3.2:latest","model":"llama3.2:latest"}]}`, []Entry{{ID: "llama3.2:latest"}}},
		{"Gemini", `{"models":[{"name":"models/gemini-2.5-pro"}]}`, []Entry{{ID: "models/gemini-2.5-pro"}}},
		{"model alone", `{"models":[{"model":"m"}]}`, []Entry{{ID: "m"}}},
		{"llama.cpp, which has both", `{"models":[{"name":"x"}],"object":"list","data":[{"id":"m.gguf"}]}`, []Entry{{ID: "m.gguf"}}},
		{"a bare list", `[{"id":"Qwen/Qwen3-8B"},{"id":"b"}]`, []Entry{{ID: "Qwen/Qwen3-8B"}, {ID: "b"}}},
		{"a list of names", `["a","b"]`, []Entry{{ID: "a"}, {ID: "b"}}},
		{"names under data", `{"data":["a"]}`, []Entry{{ID: "a"}}},
		{"an object by name", `{"data":{"b":{},"a":{}}}`, []Entry{{ID: "a"}, {ID: "b"}}},
		{"none", `{"data":[]}`, nil},
		{"null", `{"data":null}`, nil},
		{"a byte order mark", "\xef\xbb\xbf" + `{"data":[{"id":"a"}]}`, []Entry{{ID: "a"}}},
		{
			"odd members", `{"data":[{"id":"a","created":"yesterday","owned_by":7},{"id":null},{"id":5},7,null,{"id":"a"},{"id":"two words"},{"id":"*"},{"id":""},{"id":"b","created":1.5e9}]}`,
			[]Entry{{ID: "a"}, {ID: "b", Created: 1_500_000_000}},
		},
	} {
		got, err := read([]byte(tt.body))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	for _, body := range []string{``, `<html>`, `{}`, `{"data":7}`, `{"error":{"message":"x"}}`, `"x"`, `7`} {
		if got, err := read([]byte(body)); err == nil {
			t.Errorf("read(%s) = %v, want an error", body, got)
		}
	}
	if got, err := read([]byte(`[` + strings.Repeat(`"x`+strings.Repeat("y", 10)+`",`, 10) + `"z"]`)); err != nil || len(got) != 2 {
		t.Errorf("repeated names give %v, %v; want 2", got, err)
	}
}

// upstream serves /models by a handler that the test may change.
type upstream struct {
	*httptest.Server
	asked atomic.Int64
	mu    sync.Mutex
	serve http.HandlerFunc
}

func serve(t *testing.T, h http.HandlerFunc) *upstream {
	t.Helper()
	u := &upstream{serve: h}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.asked.Add(1)
		u.mu.Lock()
		h := u.serve
		u.mu.Unlock()
		h(w, r)
	}))
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) change(h http.HandlerFunc) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.serve = h
}

func answer(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
}

// subject is a catalog whose clock the test sets.
type subject struct {
	*Catalog
	tasks   sync.WaitGroup
	leaving chan struct{}
	mu      sync.Mutex
	clock   time.Time
	faults  []error
}

func catalogOf(t *testing.T, u registry.Upstream) *subject {
	t.Helper()
	s := &subject{clock: time.Now(), leaving: make(chan struct{})}
	s.Catalog = New(u, &s.tasks, s.leaving, func(err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.faults = append(s.faults, err)
	})
	s.now = func() time.Time {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.clock
	}
	t.Cleanup(s.tasks.Wait)
	return s
}

func (s *subject) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = s.clock.Add(d)
}

func ids(entries []Entry) string {
	var all []string
	for _, e := range entries {
		all = append(all, e.ID)
	}
	return strings.Join(all, " ")
}

func TestAnswersAreRemembered(t *testing.T) {
	t.Parallel()
	u := serve(t, answer(`{"data":[{"id":"a"}]}`))
	c := catalogOf(t, registry.Upstream{URL: u.URL})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if got := ids(c.Models(t.Context())); got != "a" {
				t.Errorf("models %q, want a", got)
			}
		})
	}
	all.Wait()
	if n := u.asked.Load(); n != 1 {
		t.Errorf("asked %d times for 20 lists at once, want once", n)
	}
	u.change(answer(`{"data":[{"id":"b"}]}`))
	c.pass(Fresh)
	if got := ids(c.Models(t.Context())); got != "a" {
		t.Errorf("an old answer is replaced behind the caller's back, who gets %q, want a", got)
	}
	c.tasks.Wait()
	if got := ids(c.Models(t.Context())); got != "b" {
		t.Errorf("models %q after the refresh, want b", got)
	}
}

func TestAFailureLeavesTheLastAnswerForAWhile(t *testing.T) {
	t.Parallel()
	u := serve(t, answer(`["a"]`))
	c := catalogOf(t, registry.Upstream{URL: u.URL})
	c.Models(t.Context())
	u.change(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	c.pass(Fresh)
	c.Models(t.Context())
	c.tasks.Wait()
	if got := ids(c.Models(t.Context())); got != "a" || len(c.faults) != 1 || u.asked.Load() != 2 {
		t.Errorf("models %q, failures %v, asked %d times; want a, one failure that is not repeated at once", got, c.faults, u.asked.Load())
	}
	c.pass(stale)
	c.Models(t.Context())
	c.tasks.Wait()
	if got := c.Known(); got != nil {
		t.Errorf("known %v after %v, want none", got, stale)
	}
}

func TestNoAnswerIsNoFailureOfTheCaller(t *testing.T) {
	t.Parallel()
	secret := t.TempDir() + "/not-there"
	elsewhere := serve(t, answer(`["stolen"]`))
	for _, tt := range []struct {
		name  string
		serve http.HandlerFunc
		file  string
		fault string
	}{
		{"a wrong key", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, "", "401"},
		{"no list", answer(`<html>`), "", "no list"},
		{"no end", func(w http.ResponseWriter, _ *http.Request) {
			chunk := []byte(strings.Repeat(" ", 1<<20))
			for range 2 * maxBytes >> 20 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}, "", "more than"},
		{"a redirect to another host", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1), http.StatusFound)
		}, "", "302"},
		{"a credential that is not there", answer(`["a"]`), secret, "not-there"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u := serve(t, tt.serve)
			c := catalogOf(t, registry.Upstream{URL: u.URL, Credential: registry.Credential{File: tt.file}})
			if got := c.Models(t.Context()); got != nil {
				t.Errorf("models %v, want none", got)
			}
			c.tasks.Wait()
			if len(c.faults) != 1 || !strings.Contains(c.faults[0].Error(), tt.fault) {
				t.Errorf("failures %v, want one that says %q", c.faults, tt.fault)
			}
		})
	}
	if n := elsewhere.asked.Load(); n != 0 {
		t.Errorf("the other host was asked %d times", n)
	}
}

func TestASlowUpstreamIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		<-release
		_, _ = w.Write([]byte(`["a"]`))
	})
	c := catalogOf(t, registry.Upstream{URL: u.URL})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if got := c.Models(ctx); got != nil {
		t.Errorf("models %v, want none yet", got)
	}
	close(release)
	c.tasks.Wait()
	if got := ids(c.Known()); got != "a" {
		t.Errorf("models %q once the upstream has answered, want a", got)
	}
}

func TestTheUpstreamIsAskedAsItWants(t *testing.T) {
	t.Setenv("UPSTREAM_KEY", "sk-1")
	got := make(chan *http.Request, 1)
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got <- r
		_, _ = w.Write([]byte(`[]`))
	})
	for base, want := range map[string]string{
		u.URL + "/v1": "/v1/models", u.URL + "/v1/": "/v1/models", u.URL + "/v1?api-version=1": "/v1/models?api-version=1", u.URL: "/models",
	} {
		c := catalogOf(t, registry.Upstream{URL: base, Credential: registry.Credential{Env: "UPSTREAM_KEY"}})
		c.Models(t.Context())
		r := <-got
		if r.URL.String() != want || r.Header.Get("Authorization") != "Bearer sk-1" || r.Method != http.MethodGet {
			t.Errorf("%s: asked %s %s with %q, want GET %s and the key", base, r.Method, r.URL, r.Header.Get("Authorization"), want)
		}
	}
}

func TestSettingsOfTheUpstreamHold(t *testing.T) {
	t.Setenv("UPSTREAM_KEY", "k-1")
	got := make(chan *http.Request, 1)
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got <- r
		_, _ = w.Write([]byte(`[]`))
	})
	c := catalogOf(t, registry.Upstream{
		URL: u.URL, Credential: registry.Credential{Env: "UPSTREAM_KEY"},
		Settings: registry.Settings{KeyHeader: "api-key", APIVersion: "2026-01-01", Headers: map[string]string{"X-Title": "windlass"}},
	})
	c.Models(t.Context())
	r := <-got
	if r.Header.Get("Api-Key") != "k-1" || r.Header.Get("Authorization") != "" || r.Header.Get("X-Title") != "windlass" ||
		r.URL.RawQuery != "api-version=2026-01-01" {
		t.Errorf("asked %s with %v", r.URL, r.Header)
	}
}

func TestADrainDoesNotWaitForTheUpstream(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	u := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	})
	c := catalogOf(t, registry.Upstream{URL: u.URL})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.Models(ctx)
	<-asked
	began := time.Now()
	close(c.leaving)
	c.tasks.Wait()
	if took := time.Since(began); took > fetchTime/2 || len(c.faults) != 0 {
		t.Errorf("it ended after %s with the failures %v, want at once and none", took, c.faults)
	}
}
