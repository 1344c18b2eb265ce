package origins

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAllows(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		list, origin string
		want         bool
	}{
		{"", "http://localhost:3000", false},
		{" , ", "http://localhost:3000", false},
		{"*", "https://anything.example", true},
		{"*", "null", true},
		{"https://app.example.com", "https://app.example.com", true},
		{"https://app.example.com/", "https://app.example.com", true},
		{"https://app.example.com:443", "https://app.example.com", true},
		{"HTTPS://App.Example.COM", "https://app.example.com", true},
		{"https://app.example.com", "http://app.example.com", false},
		{"https://app.example.com", "https://app.example.com:8443", false},
		{"https://app.example.com", "https://app.example.com.evil.example", false},
		{"https://app.example.com", "https://evil-app.example.com", false},
		{"https://app.example.com", "null", false},
		{"https://a.example, https://b.example", "https://b.example", true},
		{"http://localhost:*", "http://localhost:3000", true},
		{"http://localhost:*", "http://localhost", true},
		{"http://localhost:*", "http://localhost.evil.example", false},
		{"http://localhost:*", "http://localhost:3000.evil.example", false},
		{"http://localhost:*", "http://localhost:3000@evil.example", false},
		{"http://[::1]:*", "http://[::1]:5173", true},
		{"http://127.0.0.1:8000", "http://127.0.0.1:8000", true},
		{"https://*.example.com", "https://a.example.com", true},
		{"https://*.example.com", "https://a.b.example.com", true},
		{"https://*.example.com", "https://example.com", false},
		{"https://*.example.com", "https://evilexample.com", false},
		{"https://*.example.com:*", "https://a.example.com:8443", true},
		{"null", "null", true},
		{"null", "https://a.example", false},
		{"chrome-extension://abcdefgh", "chrome-extension://abcdefgh", true},
		{"app://obsidian.md", "app://obsidian.md", true},
		{"https://app.example.com", "not an origin", false},
		{"https://app.example.com", "https://app.example.com/path", false},
	} {
		l, err := Parse(strings.Split(tt.list, ","))
		if err != nil {
			t.Errorf("Parse(%q) = %v", tt.list, err)
			continue
		}
		if got := l.Allows(tt.origin); got != tt.want {
			t.Errorf("the list %q allows %q: %v, want %v", tt.list, tt.origin, got, tt.want)
		}
	}
}

func TestParseRefusesWhatNoBrowserSends(t *testing.T) {
	t.Parallel()
	for _, entry := range []string{
		"localhost:3000", "app.example.com", "https://", "https://app.example.com/path", "https://app.*.com", "https://*", "https://a:*:1",
		"http://localhost:1:*", "https://user@app.example.com",
	} {
		if _, err := Parse([]string{entry}); err == nil || !strings.Contains(err.Error(), entry) {
			t.Errorf("Parse(%q) = %v, want an error that names it", entry, err)
		}
	}
}

func TestLoopbackIsEveryPortOfTheMachine(t *testing.T) {
	t.Parallel()
	l, err := Parse([]string{Loopback, "https://app.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	for origin, want := range map[string]bool{
		"http://localhost:3000": true, "http://localhost": true, "https://localhost:5173": true, "http://127.0.0.1:8000": true,
		"http://[::1]:8000": true, "http://app.localhost:3000": true, "https://app.example.com": true,
		"http://192.168.0.2:3000": false, "https://evil.example": false, "null": false,
	} {
		if got := l.Allows(origin); got != want {
			t.Errorf("the list allows %q: %v, want %v", origin, got, want)
		}
	}
}

func TestPreflightIsAnsweredWithoutTheHandler(t *testing.T) {
	t.Parallel()
	reached, seen := 0, 0
	for _, tt := range []struct {
		name, list, origin, method string
		allowed                    string
	}{
		{"allowed", "https://a.example", "https://a.example", "POST", "https://a.example"},
		{"any", "*", "https://a.example", "DELETE", "*"},
		{"another origin", "https://a.example", "https://b.example", "POST", ""},
		{"a method that no route has", "*", "https://a.example", "PATCH", ""},
	} {
		l, err := Parse([]string{tt.list})
		if err != nil {
			t.Fatal(err)
		}
		h := l.Handler(func(http.ResponseWriter) { seen++ }, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
		r := httptest.NewRequest(http.MethodOptions, "/v1/responses", nil)
		r.Header.Set("Origin", tt.origin)
		r.Header.Set("Access-Control-Request-Method", tt.method)
		r.Header.Set("Access-Control-Request-Headers", "authorization,content-type,x-stainless-lang")
		r.Header.Set("Access-Control-Request-Private-Network", "true")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		got := w.Header()
		if w.Code != http.StatusNoContent || got.Get("Access-Control-Allow-Origin") != tt.allowed {
			t.Errorf("%s: answered %d, allowed origin %q, want 204 and %q", tt.name, w.Code, got.Get("Access-Control-Allow-Origin"), tt.allowed)
		}
		if got.Get("Access-Control-Allow-Credentials") != "" || !strings.Contains(got.Get("Vary"), "Origin") {
			t.Errorf("%s: headers %v, want no credentials and Vary: Origin", tt.name, got)
		}
		if tt.allowed == "" {
			continue
		}
		if got.Get("Access-Control-Allow-Headers") != "authorization,content-type,x-stainless-lang" ||
			got.Get("Access-Control-Allow-Methods") != tt.method || got.Get("Access-Control-Allow-Private-Network") != "true" ||
			got.Get("Access-Control-Max-Age") == "" {
			t.Errorf("%s: headers %v", tt.name, got)
		}
	}
	if reached != 0 || seen != 4 {
		t.Errorf("%d preflights reached the handler, %d were counted; want 0 and 4", reached, seen)
	}
}
