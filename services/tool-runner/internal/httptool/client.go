package httptool

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

const (
	dialTimeout      = 10 * time.Second
	handshakeTimeout = 10 * time.Second
	keptIdle         = 90 * time.Second
	maxHeaderBytes   = 64 << 10
	maxRedirects     = 3
	// maxSilence is how long an answer may pause once its header has come. Before that the call's own deadline counts.
	maxSilence = time.Minute
)

// Client makes tool calls. Make it with New. Safe for concurrent use.
type Client struct {
	clients map[manner]*http.Client
	silence time.Duration
}

// manner is what calls of one http.Client have in common. Connections are never shared across manners.
type manner struct {
	private bool // may dial loopback and private networks
	once    bool // keeps no connections
}

// New returns a Client that keeps up to slots idle connections per tool host. It starts nothing.
func New(slots int) *Client {
	c := &Client{clients: map[manner]*http.Client{}, silence: maxSilence}
	for _, m := range []manner{{}, {private: true}, {once: true}, {private: true, once: true}} {
		c.clients[m] = newHTTPClient(m, slots)
	}
	return c
}

// Close closes the connections that no call is using.
func (c *Client) Close() {
	for _, client := range c.clients {
		client.CloseIdleConnections()
	}
}

func newHTTPClient(m manner, slots int) *http.Client {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second, Control: guard(m.private)}
	return &http.Client{
		CheckRedirect: checkRedirect,
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			ForceAttemptHTTP2:      true,
			DisableKeepAlives:      m.once,
			MaxIdleConns:           4 * slots,
			MaxIdleConnsPerHost:    slots,
			IdleConnTimeout:        keptIdle,
			TLSHandshakeTimeout:    handshakeTimeout,
			MaxResponseHeaderBytes: maxHeaderBytes,
		},
	}
}

// loopbackAndPrivate are the networks that Call.AllowPrivate adds. Link-local ones are not among them: that is where
// clouds answer for a machine's credentials.
var (
	loopbackAndPrivateV4 = []netip.Prefix{
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"),
		netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	}
	loopbackAndPrivateV6 = []netip.Prefix{netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("fc00::/7")}
	// credentialServers are those that the guard would let pass: EC2's in a private network, Azure's in a public one.
	credentialServers = []netip.Addr{netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("168.63.129.16")}
)

// guard returns the check of a dialled address, which the dialer makes between resolving a name and connecting.
func guard(private bool) func(network, address string, c syscall.RawConn) error {
	options := []ssrf.Option{ssrf.WithAnyPort()} // the tool's URL chooses its port, checkRedirect the later ones
	if private {
		options = append(options,
			ssrf.WithAllowedV4Prefixes(loopbackAndPrivateV4...), ssrf.WithAllowedV6Prefixes(loopbackAndPrivateV6...))
	}
	guardian := ssrf.New(options...)
	return func(network, address string, c syscall.RawConn) error {
		if at, err := netip.ParseAddrPort(address); err == nil && slices.Contains(credentialServers, at.Addr().Unmap()) {
			return fmt.Errorf("%w: %s serves credentials", ssrf.ErrProhibitedIP, at.Addr())
		}
		return guardian.Safe(network, address, c)
	}
}

// isAddressRefused reports whether an error is the guard's.
func isAddressRefused(err error) bool {
	return errors.Is(err, ssrf.ErrProhibitedIP) || errors.Is(err, ssrf.ErrProhibitedNetwork) ||
		errors.Is(err, ssrf.ErrInvalidHostPort) || errors.Is(err, ssrf.ErrProhibitedPort)
}

// redirectError is a redirect that is not followed. Its text is fit for the model.
type redirectError string

func (e redirectError) Error() string { return string(e) }

// checkRedirect refuses a redirect or makes it harmless. net/http keeps the credential for another port of the same host
// and for subdomains, and tells the next host the last URL, whose query may hold a key.
func checkRedirect(next *http.Request, via []*http.Request) error {
	first := via[0].URL
	switch {
	case len(via) > maxRedirects:
		return redirectError(fmt.Sprintf("the tool redirected the call more than %d times", maxRedirects))
	case next.URL.Scheme != first.Scheme:
		return redirectError("the tool redirected the call to another scheme")
	case next.URL.Port() != first.Port() && next.URL.Port() != "":
		return redirectError("the tool redirected the call to another port")
	}
	next.Header.Del("Referer")
	elsewhere := func(r *http.Request) bool { return !strings.EqualFold(r.URL.Host, first.Host) }
	if elsewhere(next) || slices.ContainsFunc(via, elsewhere) {
		next.Header.Del("Authorization")
	}
	return nil
}
