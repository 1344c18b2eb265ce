package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// AfterApply is called by kong when every flag has its value.
func (c *devCmd) AfterApply() (err error) {
	if c.Listen, err = address("--listen", c.Listen); err != nil {
		return err
	}
	if c.NATSListen, err = address("--nats-listen", c.NATSListen); err != nil {
		return err
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
	c.Listen, err = address("--listen", c.Listen)
	return err
}

// address completes an address to listen on: a port alone is one on 127.0.0.1.
func address(flag, text string) (string, error) {
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

// listen opens the address of a flag. A busy port and a foreign address say what
// to write.
func listen(ctx context.Context, flag, address string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err == nil {
		return l, nil
	}
	host, port, splitErr := net.SplitHostPort(address)
	if splitErr != nil {
		return nil, fmt.Errorf("listen on %s (%s): %w", address, flag, err)
	}
	n, _ := strconv.Atoi(port)
	another := n + 1
	if another > 65535 || n == 0 {
		another = 8081
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use, perhaps by another windlass: stop that, or write another port, like %s %s",
			address, flag, net.JoinHostPort(host, strconv.Itoa(another)))
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("this user may not listen on port %s: write one above 1023, like %s %s",
			port, flag, net.JoinHostPort(host, "8080"))
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s is no address of this machine: write one, like %s 127.0.0.1:%s", host, flag, port)
	}
	return nil, fmt.Errorf("listen on %s (%s): %w", address, flag, err)
}
