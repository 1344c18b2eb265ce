package process

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/zap"
)

func TestOnlyHosts(t *testing.T) {
	t.Parallel()
	h := OnlyHosts("windlass.internal", "Box.")
	for host, want := range map[string]bool{
		"127.0.0.1:8080": true, "[::1]:8080": true, "::1": true, "10.1.2.3": true, "localhost": true, "LOCALHOST:1": true,
		"app.localhost:80": true, "windlass.internal:8080": true, "box": true, "box.:80": true,
		"evil.example": false, "evil.example:8080": false, "127.0.0.1.evil.example": false, "localhost.evil.example": false,
		"notlocalhost": false, "": false, "windlass.internal.evil.example": false,
	} {
		if got := h.Allows(host); got != want {
			t.Errorf("Allows(%q) = %v, want %v", host, got, want)
		}
		if !(Hosts{}).Allows(host) || !OnlyHosts("a", "*").Allows(host) {
			t.Errorf("without a list, or with *, %q is refused", host)
		}
	}
}

// secretive is a failure that names an address.
type secretive struct{ public string }

func (s secretive) Error() string  { return "dial 10.9.8.7 as user windlass_app" }
func (s secretive) Public() string { return s.public }

func TestReadyzNamesNoAddresses(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	rt := NewRuntime("test", Config{}, zap.NewNop())
	rt.Hosts = OnlyHosts()
	rt.Health.Check("gateway.postgres", func(context.Context) error { return secretive{"no connection"} })
	rt.Health.Check("gateway.other", func(context.Context) error { return errors.New("10.9.8.7 refused windlass_app") })
	a := serveForTest(t, ctx, rt)
	code, body := a.probe(t, "/readyz")
	want := "gateway.postgres: no connection\ngateway.other: failed, the log has the reason\n"
	if code != http.StatusServiceUnavailable || body != want {
		t.Errorf("readyz = %d %q, want 503 %q", code, body, want)
	}
	if err := rt.Health.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "10.9.8.7") {
		t.Errorf("Ready = %v, want the whole reason", err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "evil.example"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("metrics for another host = %d, want 403", resp.StatusCode)
	}
	cancel()
	if err := a.wait(t); err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
}
