package upstream

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/run"
)

const secretKey = "sk-0123456789"

// credential returns a credential in a file.
func credential(tb testing.TB) registry.Credential {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "key")
	if err := os.WriteFile(file, []byte(secretKey), 0o600); err != nil {
		tb.Fatal(err)
	}
	return registry.Credential{File: file}
}

// visits records the requests that servers got.
type visits struct {
	mu  sync.Mutex
	all []string
}

func (v *visits) add(r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.all = append(v.all, r.Method+" "+r.URL.RequestURI()+" "+string(body)+" "+r.Header.Get("Authorization")+" "+r.Header.Get("Idempotency-Key"))
}

// TestRedirects holds that a redirected call is sent again unchanged.
func TestRedirects(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		var seen visits
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen.add(r)
			to := map[string]string{
				"/v1/a": "/new/v1/a?x=y", "/v1/hop1/c": "../hop2/c", "/v1/hop2/c": "/v1/hop3/c", "/v1/hop3/c": "/end",
			}[r.URL.Path]
			if to == "" {
				_, _ = io.WriteString(w, `{"ok":true}`)
				return
			}
			w.Header().Set("Location", to)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "<html>moved</html>")
		}))
		t.Cleanup(s.Close)
		const sent, with = ` {"a":1} `, "Bearer " + secretKey + " key"
		for path, want := range map[string][]string{
			"/a":      {"POST /v1/a" + sent + with, "POST /new/v1/a?x=y" + sent + with},
			"/hop1/c": {"POST /v1/hop1/c" + sent + with, "POST /v1/hop2/c" + sent + with, "POST /v1/hop3/c" + sent + with, "POST /end" + sent + with},
		} {
			seen.all = nil
			at := registry.Upstream{URL: s.URL + "/v1", Credential: credential(t)}
			b, err := Client{HTTP: freshClient()}.Post(t.Context(), at, path, []byte(`{"a":1}`), Headers{IdempotencyKey: "key"})
			if diff := cmp.Diff(want, seen.all); diff != "" || err != nil || string(b) != `{"ok":true}` {
				t.Errorf("%d of %s: %s, %v (-want +got):\n%s", status, path, b, err, diff)
			}
		}
	}
}

// TestRedirectsThatAreNotFollowed holds that the error names the redirect and
// its target, and is final.
func TestRedirectsThatAreNotFollowed(t *testing.T) {
	t.Parallel()
	loop := upstream(t, 308, http.Header{"Location": {"/v1/x?key=" + secretKey + "#part"}}, "")
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "http://plain.example/v1")
		w.WriteHeader(http.StatusMovedPermanently)
	}))
	t.Cleanup(secure.Close)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("another host got the call, with its prompt")
	}))
	t.Cleanup(elsewhere.Close)
	for name, tt := range map[string]struct {
		at     registry.Upstream
		client *http.Client
		code   string
		want   string
	}{
		"a loop":            {loop, &http.Client{}, "upstream_redirect", "The upstream redirects to " + loop.URL + "/v1/x, after 3 redirects that were followed (HTTP 308)."},
		"to plain http":     {registry.Upstream{URL: secure.URL}, secure.Client(), "upstream_redirect", "The upstream redirects to http://plain.example/v1, which is not encrypted; the redirect was not followed (HTTP 301)."},
		"to nowhere":        {upstream(t, 302, nil, ""), &http.Client{}, "upstream_redirect", "The upstream redirects without saying where to (HTTP 302)."},
		"to another scheme": {upstream(t, 307, http.Header{"Location": {"file:///etc/passwd"}}, ""), &http.Client{}, "upstream_redirect", "The upstream redirects to an address that is not valid (HTTP 307)."},
		"to no address":     {upstream(t, 307, http.Header{"Location": {"http://[::1"}}, ""), &http.Client{}, "upstream_redirect", "The upstream redirects to an address that is not valid (HTTP 307)."},
		"of another kind":   {upstream(t, 304, http.Header{"Location": {"/x"}}, ""), &http.Client{}, "upstream_redirect", "The upstream answered HTTP 304."},
		"to another host":   {upstream(t, 301, http.Header{"Location": {elsewhere.URL + "/v1?key=x"}}, ""), &http.Client{}, "upstream_redirect", "The upstream redirects to " + elsewhere.URL + "/v1, another host; the redirect was not followed. If that is the right address, configure it as the model's upstream (HTTP 301)."},
	} {
		tt.at.Credential = credential(t)
		_, err := Client{HTTP: tt.client}.Post(t.Context(), tt.at, "/x", []byte(`{}`), Headers{})
		var got *run.Failure
		if !errors.As(err, &got) || got.Message != tt.want || got.Retriable || got.Code != tt.code || got.Own != nil {
			t.Errorf("%s: %+v, want %s", name, err, tt.want)
		}
	}
}

// TestAttempts holds that another attempt is made if it can succeed, and not
// earlier than the upstream asks for.
func TestAttempts(t *testing.T) {
	t.Parallel()
	for status, retry := range map[int]bool{
		400: false, 401: false, 402: false, 403: false, 404: false, 405: false, 408: true, 409: false, 410: false, 413: false, 415: false, 422: false,
		423: true, 424: false, 425: true, 429: true, 431: false, 451: false, 498: true, 500: true, 501: false, 502: true, 503: true, 504: true, 505: false,
		507: false, 508: false, 511: false, 520: true, 522: true, 524: true, 529: true, 304: false,
	} {
		for header, want := range map[string]bool{"": retry, "true": true, "false": false} {
			at := upstream(t, status, http.Header{"X-Should-Retry": {header}, "Retry-After-Ms": {"1500"}}, `{"error":{"message":"why"}}`)
			_, err := Client{HTTP: freshClient()}.Post(t.Context(), at, "/x", []byte(`{}`), Headers{})
			var got *run.Failure
			if !errors.As(err, &got) || got.Retriable != want || got.HTTPStatus != status || got.RetryAfter.Milliseconds() != 1500 {
				t.Errorf("HTTP %d with x-should-retry %q: %+v, want another attempt: %v", status, header, err, want)
			}
			if got != nil && status != 304 && (!strings.Contains(got.Message, "HTTP "+strconv.Itoa(status)) || !strings.Contains(got.Message, "why")) {
				t.Errorf("HTTP %d: the message is %q", status, got.Message)
			}
		}
	}
}

// TestUnreachable holds that the error says why, without addresses, and that
// wrong settings are final.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	plain := upstream(t, 200, nil, "{}")
	secure := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(secure.Close)
	for name, tt := range map[string]struct {
		url   string
		want  string
		retry bool
	}{
		"no listener":      {"http://127.0.0.1:1", "The upstream could not be reached: connection refused.", true},
		"no such host":     {"http://unknown.invalid/v1", "The upstream could not be reached: its host name", true},
		"no TLS":           {strings.Replace(plain.URL, "http", "https", 1), "The upstream could not be reached: its url begins with https, but it answers in plain HTTP.", false},
		"no trust":         {secure.URL, "The upstream could not be reached: its certificate is not trusted: ", false},
		"no valid address": {"localhost:8080/v1", "The model's upstream URL is not valid.", false},
	} {
		_, err := Client{HTTP: freshClient()}.Post(t.Context(), registry.Upstream{URL: tt.url}, "/x", []byte(`{}`), Headers{})
		var got *run.Failure
		if !errors.As(err, &got) || !strings.HasPrefix(got.Message, tt.want) || got.Retriable != tt.retry {
			t.Errorf("%s: %+v, want %s", name, err, tt.want)
		}
	}
}
