package gateway

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

const pageOrigin = "http://localhost:3000"

// fromPage is a request as a browser sends it for a page.
func (s *stand) fromPage(method, path, body string, header ...string) *http.Request {
	s.tb.Helper()
	r := s.request(s.tb.Context(), method, path, body)
	r.Header.Set("Origin", pageOrigin)
	for i := 0; i < len(header); i += 2 {
		if header[i+1] == "" {
			r.Header.Del(header[i])
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func withOrigins(list ...string) func(*Config) { return func(c *Config) { c.CORSOrigins = list } }

func TestPreflightsNeedNoKey(t *testing.T) {
	t.Parallel()
	s := raise(t, withOrigins("https://app.example.com", "http://localhost:*"))
	for _, path := range []string{
		"/v1/responses", "/v1/responses/resp_x/cancel", "/v1/chat/completions", "/v1/models", "/v1/conversations", "/openapi.json",
		"/nowhere", "/v1/responses/../responses",
	} {
		got := s.send(s.fromPage("OPTIONS", path, "", "Authorization", "", "Access-Control-Request-Method", "POST",
			"Access-Control-Request-Headers", "authorization,content-type,idempotency-key,openai-beta,x-stainless-os"))
		if got.status != http.StatusNoContent || got.header.Get("Access-Control-Allow-Origin") != pageOrigin ||
			!strings.Contains(got.header.Get("Access-Control-Allow-Headers"), "x-stainless-os") ||
			got.header.Get("Access-Control-Allow-Methods") != "POST" || got.header.Get("X-Request-Id") == "" {
			t.Errorf("preflight of %s answered %d %v", path, got.status, got.header)
		}
	}
}

// TestPagesMayReadEveryAnswer: errors included, whatever part of the gateway
// made them.
func TestPagesMayReadEveryAnswer(t *testing.T) {
	t.Parallel()
	s := raise(t, withOrigins("loopback"))
	for _, tt := range []struct {
		name   string
		r      *http.Request
		status int
	}{
		{"an answer", s.fromPage("GET", "/v1/models", ""), 200},
		{"an accepted response", s.fromPage("POST", "/v1/responses", `{"model":"m","input":"hi","background":true}`), 200},
		{"a body with a fault", s.fromPage("POST", "/v1/responses", `{"model":`), 400},
		{"no key", s.fromPage("GET", "/v1/models", "", "Authorization", ""), 401},
		{"a wrong key", s.fromPage("POST", "/v1/responses", `{}`, "Authorization", "Bearer wrong"), 401},
		{"no such route", s.fromPage("GET", "/nowhere", ""), 404},
		{"a path that is not clean", s.fromPage("GET", "/v1//models", ""), 404},
		{"no such response", s.fromPage("GET", "/v1/responses/resp_x", ""), 404},
		{"another method", s.fromPage("DELETE", "/v1/models", ""), 405},
		{"another type of body", s.fromPage("POST", "/v1/responses", `{}`, "Content-Type", "text/plain"), 415},
	} {
		got := s.send(tt.r)
		exposed := strings.Join(got.header.Values("Access-Control-Expose-Headers"), ",")
		if got.status != tt.status || got.header.Get("Access-Control-Allow-Origin") != pageOrigin ||
			!strings.Contains(exposed, "X-Request-Id") || !strings.Contains(exposed, "Retry-After-Ms") ||
			got.header.Get("Access-Control-Allow-Credentials") != "" || !slices.Contains(got.header.Values("Vary"), "Origin") {
			t.Errorf("%s: answered %d %v, want %d", tt.name, got.status, got.header, tt.status)
		}
	}
}

func TestPagesOfOtherOriginsMayNot(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		list []string
	}{{"not listed", []string{"https://app.example.com"}}, {"no setting", nil}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := raise(t, withOrigins(tt.list...))
			for range 2 {
				got := s.send(s.fromPage("OPTIONS", "/v1/responses", "", "Authorization", "", "Access-Control-Request-Method", "POST"))
				if got.header.Get("Access-Control-Allow-Origin") != "" {
					t.Errorf("the preflight answered %d %v", got.status, got.header)
				}
			}
			if got := s.send(s.fromPage("GET", "/v1/models", "")); got.status != 200 || got.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("GET answered %d %v, want 200 without the header", got.status, got.header)
			}
			if n := s.logs.FilterMessageSnippet("WINDLASS_CORS_ORIGINS").Len(); n != 1 {
				t.Errorf("%d log lines name the setting, want 1 for all refusals of a minute", n)
			}
		})
	}
}

func TestEveryOriginWithoutCredentials(t *testing.T) {
	t.Parallel()
	s := raise(t, withOrigins("*"))
	got := s.send(s.fromPage("GET", "/v1/models", "", "Origin", "https://anything.example"))
	if got.header.Get("Access-Control-Allow-Origin") != "*" || got.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("answered %d %v", got.status, got.header)
	}
}

func TestWebSocketsOfPagesFollowTheSetting(t *testing.T) {
	t.Parallel()
	listed, without := raise(t, withOrigins("https://app.example.com")), raise(t)
	for _, tt := range []struct {
		name   string
		s      *stand
		origin string
		want   int
	}{
		{"a program", listed, "", 101},
		{"a listed page", listed, "https://app.example.com", 101},
		{"another page", listed, "https://evil.example", 403},
		{"a page without an origin", listed, "null", 403},
		{"a program that names the server", listed, listed.url, 101},
		{"a program that names anything, without the setting", without, "https://evil.example", 101},
	} {
		h := http.Header{"Authorization": {"Bearer " + testKey}}
		if tt.origin != "" {
			h.Set("Origin", tt.origin)
		}
		conn, resp, err := websocket.Dial(t.Context(), strings.Replace(tt.s.url, "http", "ws", 1)+"/v1/responses", //nolint:bodyclose // Dial: need not be closed
			&websocket.DialOptions{HTTPHeader: h})
		if resp == nil || resp.StatusCode != tt.want {
			t.Errorf("%s: %v, %v; want %d", tt.name, resp, err, tt.want)
		}
		if conn != nil {
			_ = conn.CloseNow()
		}
	}
}
