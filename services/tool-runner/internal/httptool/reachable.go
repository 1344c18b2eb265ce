package httptool

import (
	"context"
	"crypto/tls"
	"net"
	"net/url"

	"windlass.dev/windlass/pkg/run"
)

// CheckReachable connects to a tool's address as a call does, and sends no
// request, because tools may act on any method. It returns nil if a call may
// connect there and the certificate is valid.
func CheckReachable(ctx context.Context, address string, private bool) *run.Failure {
	call := Call{URL: address}
	req, failure := call.request(ctx)
	if failure != nil {
		return failure
	}
	transport := newTransport(manner{private: private}, 1)
	conn, err := transport.DialContext(ctx, "tcp", hostPort(req.URL))
	if err != nil {
		return callFailure(ctx, err)
	}
	defer conn.Close()
	if req.URL.Scheme != "https" {
		return nil
	}
	if err := tls.Client(conn, &tls.Config{ServerName: req.URL.Hostname()}).HandshakeContext(ctx); err != nil {
		return callFailure(ctx, err)
	}
	return nil
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}
