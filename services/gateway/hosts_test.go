package gateway

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestOtherHostsAreRefused: a page may let its own name lead to this server,
// and would be of the same origin.
func TestOtherHostsAreRefused(t *testing.T) {
	t.Parallel()
	s := raise(t, func(c *Config) { c.Hosts = []string{"api.internal"} })
	for host, status := range map[string]int{
		"": 200, "localhost:8080": 200, "api.internal": 200, "127.0.0.1": 200, "rebind.example": 403, "api.internal.rebind.example": 403,
	} {
		r := s.request(t.Context(), http.MethodGet, "/v1/models", "")
		r.Host = host
		if got := s.send(r); got.status != status {
			t.Errorf("host %q answered %d %s, want %d", host, got.status, got.body, status)
		}
	}
	open := raise(t)
	r := open.request(t.Context(), http.MethodGet, "/v1/models", "")
	r.Host = "any.example"
	if got := open.send(r); got.status != http.StatusOK {
		t.Errorf("without WINDLASS_HOSTS a host answered %d, want 200", got.status)
	}
}

// TestTwoLengthsAreRefused sends what a proxy might read differently.
func TestTwoLengthsAreRefused(t *testing.T) {
	t.Parallel()
	s := raise(t)
	address := strings.TrimPrefix(s.url, "http://")
	c, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	fmt.Fprintf(c, "POST /v1/responses HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest || !resp.Close {
		t.Errorf("two lengths answered %d (close %v), want 400 and the connection's end", resp.StatusCode, resp.Close)
	}
}
