package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// AfterApply is called by kong when every flag has its value.
func (c *devCmd) AfterApply() (err error) {
	if c.Listen, err = listenAddress("--listen", c.Listen); err != nil {
		return err
	}
	if c.NATSListen, err = listenAddress("--nats-listen", c.NATSListen); err != nil {
		return err
	}
	if c.AdminListen != "" {
		if c.AdminListen, err = listenAddress("--admin-listen", c.AdminListen); err != nil {
			return err
		}
	}
	if c.ModelURL, err = httpURL("--model-url", c.ModelURL); err != nil {
		return err
	}
	return errors.Join(
		serverURL("--database-url", c.DatabaseURL, "postgres://user:password@127.0.0.1:5432/windlass",
			"postgres", "postgresql"),
		serverURL("--nats-url", c.NATSURL, "nats://127.0.0.1:4222", "nats", "tls", "ws", "wss"),
	)
}

// AfterApply is called by kong when every flag has its value.
func (c *mockCmd) AfterApply() (err error) {
	c.Listen, err = listenAddress("--listen", c.Listen)
	return err
}

// listenAddress completes an address to listen on: a port alone is one on 127.0.0.1.
func listenAddress(flag, text string) (string, error) {
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

// httpURL completes the URL of an HTTP API: without a scheme, one on this
// machine gets http.
func httpURL(flag, text string) (string, error) {
	full := text
	if !strings.Contains(text, "://") && local(text) {
		full = "http://" + text
	}
	u, err := url.Parse(full)
	if text == "" || err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" {
		return full, nil
	}
	scheme, bare := "https", anyScheme.ReplaceAllString(strings.TrimSpace(text), "")
	if local(bare) {
		scheme = "http"
	}
	if u, err := url.Parse(scheme + "://" + bare); err != nil || u.Hostname() == "" {
		bare = "api.example.com/v1"
	}
	return "", fmt.Errorf("%s is %q: write a URL that begins with http:// or https://, like %s %s://%s",
		flag, text, flag, scheme, bare)
}

var anyScheme = regexp.MustCompile(`^[a-zA-Z]*(:/*|//+)`)

// local reports whether a URL without a scheme leads to this machine.
func local(text string) bool {
	u, err := url.Parse("http://" + text)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// serverURL refuses a URL with a scheme that the client does not know. Without a
// scheme the client judges: Postgres takes keywords (host=…), NATS host:port.
func serverURL(flag, text, example string, schemes ...string) error {
	if scheme, _, ok := strings.Cut(text, "://"); ok && !slices.Contains(schemes, scheme) {
		return fmt.Errorf("%s begins with %s://: write it like %s %s", flag, scheme, flag, example)
	}
	return nil
}
