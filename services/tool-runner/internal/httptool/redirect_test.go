package httptool

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"windlass.dev/windlass/pkg/run"
)

func TestRedirects(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	call := tool(t, func(w http.ResponseWriter, r *http.Request) {
		to, ok := strings.CutPrefix(r.URL.Path, "/to/")
		if !ok {
			reached.Add(1)
			body, _ := io.ReadAll(r.Body)
			_, _ = io.WriteString(w, r.Method+" "+string(body)+" auth="+r.Header.Get("Authorization")+" referer="+r.Referer())
			return
		}
		if query := r.URL.RawQuery; query != "" {
			to = query
		}
		http.Redirect(w, r, to, http.StatusTemporaryRedirect)
	})
	call.Bearer = "tok" // short: not redacted from the answer
	base := call.URL
	elsewhere := strings.Replace(base, "127.0.0.1", "localhost", 1)
	tests := []struct {
		name, to string
		want     string // output, or code
	}{
		{"same host", "/end", `POST {"city":"Ulm"} auth=Bearer tok referer=`},
		{"three hops", "/to/x?/to/x?/end", `POST {"city":"Ulm"} auth=Bearer tok referer=`},
		{"another host", elsewhere + "/end", `POST {"city":"Ulm"} auth= referer=`},
		{"another host and back", elsewhere + "/to/x?" + base + "/end", `POST {"city":"Ulm"} auth= referer=`},
		{"for ever", "/to/x?/to/x?/to/x?/end", run.CodeRedirectRefused},
		{"another scheme", "https" + strings.TrimPrefix(base, "http") + "/end", run.CodeRedirectRefused},
		{"a file", "file:///etc/passwd", run.CodeRedirectRefused},
		{"another port", "http://127.0.0.1:1/end", run.CodeRedirectRefused},
		{"cloud credentials", "http://169.254.169.254/latest", run.CodeAddressRefused},
		{"any address", "http://0.0.0.0/", run.CodeAddressRefused},
	}
	for _, tt := range tests { //nolint:paralleltest // they count calls of one server
		t.Run(tt.name, func(t *testing.T) {
			call := call
			call.URL = base + "/to/x?" + tt.to
			before := reached.Load()
			out, f := do(t, client(t), call)
			if strings.HasPrefix(tt.want, "POST") {
				if f != nil || string(out.Text) != tt.want {
					t.Errorf("Do = %q, %+v, want %q", out.Text, f, tt.want)
				}
				return
			}
			wantCode(t, f, tt.want, false)
			if reached.Load() != before {
				t.Error("the refused redirect was followed")
			}
		})
	}
}

// TestRedirectedCallsAreSentAsTheyWere holds that a redirect never changes the
// call.
func TestRedirectedCallsAreSentAsTheyWere(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"", http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodGet} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			var seen []string
			call := tool(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				seen = append(seen, r.Method+" "+string(body)+" "+r.Header.Get("Idempotency-Key")+" "+r.Header.Get("Content-Type"))
				if r.URL.Path != "/end" {
					w.Header().Set("Location", "/end")
					w.WriteHeader(status)
					_, _ = io.WriteString(w, "moved")
				}
			})
			call.Method = method
			_, f := do(t, client(t), call)
			name := method + " " + http.StatusText(status)
			if status == 303 && method != http.MethodGet {
				wantCode(t, f, run.CodeRedirectRefused, false)
				if len(seen) != 1 || f == nil || !strings.Contains(f.Message, "303") || !strings.Contains(f.Message, "redirect") {
					t.Errorf("%s: %d requests, %+v; want one, and a failure that names the redirect", name, len(seen), f)
				}
				continue
			}
			if f != nil || len(seen) != 2 || seen[0] != seen[1] {
				t.Errorf("%s: %q, %+v; want the same request twice", name, seen, f)
			}
		}
	}
}

func TestRedirectsThatLeadNowhere(t *testing.T) {
	t.Parallel()
	for name, location := range map[string]string{"no URL": "http://[::1", "nothing": "%zz", "without a host": "http:///x"} {
		call := tool(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", location)
			w.WriteHeader(http.StatusMovedPermanently)
		})
		if _, f := do(t, client(t), call); f == nil || f.Code != run.CodeRedirectRefused || !strings.Contains(f.Message, "redirect") {
			t.Errorf("Location that is %s: %+v, want a failure that names the redirect", name, f)
		}
	}
}

// TestRedirectToHTTPS holds that a redirect from http to https is followed,
// with the credential only if the host is the same.
func TestRedirectToHTTPS(t *testing.T) {
	t.Parallel()
	for to, want := range map[string]string{
		"https://example.com/x":     "Bearer token",
		"https://www.example.com/x": "",
		"https://example.com:444/x": "refused",
		"ftp://example.com/x":       "refused",
	} {
		requests := make([]*http.Request, 2)
		for i, at := range []string{"http://example.com/x", to} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer token")
			requests[i] = r
		}
		err := checkRedirect(requests[1], requests[:1])
		if got := requests[1].Header.Get("Authorization"); (err != nil) != (want == "refused") || err == nil && got != want {
			t.Errorf("redirect to %s = %v with credential %q, want %q", to, err, got, want)
		}
	}
}

// TestCredentialStaysAway covers what net/http treats as the same place:
// subdomains, and the scheme's own port.
func TestCredentialStaysAway(t *testing.T) {
	t.Parallel()
	at := func(url string) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer token")
		return r
	}
	for _, hops := range [][]string{
		{"http://example.com/", "http://sub.example.com/"},
		{"http://example.com:8080/", "http://example.com/"},
		{"http://example.com/", "http://sub.example.com/", "http://example.com/"},
	} {
		var via []*http.Request
		for _, hop := range hops[:len(hops)-1] {
			via = append(via, at(hop))
		}
		next := at(hops[len(hops)-1])
		if err := checkRedirect(next, via); err != nil || next.Header.Get("Authorization") != "" {
			t.Errorf("redirect over %v = %v, credential %q; want it followed without", hops, err, next.Header.Get("Authorization"))
		}
	}
}
