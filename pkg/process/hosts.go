package process

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Hosts are the names under which an HTTP server may be called, apart from
// addresses and localhost. A web page can let its own name lead to this machine
// (DNS rebinding) and then read answers as its own; it cannot choose the Host
// that the browser sends. The zero Hosts allows every name.
type Hosts struct {
	names *[]string // nil: every name
}

// OnlyHosts allows addresses, localhost, names below it, and these names. With
// the name * it allows every name.
func OnlyHosts(names ...string) Hosts {
	allowed := make([]string, len(names))
	for i, name := range names {
		allowed[i] = normalHost(name)
	}
	if slices.Contains(allowed, "*") {
		return Hosts{}
	}
	return Hosts{names: &allowed}
}

// Allows reports whether a request with this Host header may be answered.
func (h Hosts) Allows(host string) bool {
	if h.names == nil {
		return true
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = normalHost(host)
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || slices.Contains(*h.names, host)
}

func normalHost(name string) string {
	return strings.ToLower(strings.TrimSuffix(strings.TrimSpace(name), "."))
}

// require answers 403 to requests with another Host.
func (h Hosts) require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !h.Allows(r.Host) {
			http.Error(w, "this server does not answer for that host", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
