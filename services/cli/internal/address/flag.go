package address

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ParseListen completes an address to listen on: a port alone is one on
// 127.0.0.1. flag is named in the error.
func ParseListen(flag, text string) (string, error) {
	if isPort(text) {
		return net.JoinHostPort("127.0.0.1", text), nil
	}
	if host, port, err := net.SplitHostPort(text); err == nil && isPort(port) && !strings.Contains(host, "/") {
		return text, nil
	}
	return "", fmt.Errorf(
		"%s is %q: write a host and a port up to 65535, like %s 127.0.0.1:8081 (:8081 listens on all addresses)",
		flag, text, flag)
}

func isPort(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}

// ParseHTTP completes the URL of an HTTP API: without a scheme, one on this
// machine gets http. flag is named in the error.
func ParseHTTP(flag, text string) (string, error) {
	full := text
	if !strings.Contains(text, "://") && isLocal(text) {
		full = "http://" + text
	}
	u, err := url.Parse(full)
	if text == "" || err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" {
		return full, nil
	}
	scheme, bare := "https", anyScheme.ReplaceAllString(strings.TrimSpace(text), "")
	if isLocal(bare) {
		scheme = "http"
	}
	if u, err := url.Parse(scheme + "://" + bare); err != nil || u.Hostname() == "" {
		bare = "api.example.com/v1"
	}
	return "", fmt.Errorf("%s is %q: write a URL that begins with http:// or https://, like %s %s://%s",
		flag, text, flag, scheme, bare)
}

// anyScheme also matches misspelt ones, like htp:// and http:/.
var anyScheme = regexp.MustCompile(`^[a-zA-Z]*(:/*|//+)`)

// isLocal reports whether a URL without a scheme leads to this machine.
func isLocal(text string) bool {
	u, err := url.Parse("http://" + text)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// CheckScheme refuses a URL with a scheme that its client does not know. A text
// without a scheme is left to the client: Postgres takes keywords (host=…) and
// NATS host:port.
func CheckScheme(flag, text, example string, schemes ...string) error {
	if scheme, _, ok := strings.Cut(text, "://"); ok && !slices.Contains(schemes, scheme) {
		return fmt.Errorf("%s begins with %s://: write it like %s %s", flag, scheme, flag, example)
	}
	return nil
}
