package httptool

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
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
	// maxSilence bounds a pause within an answer. Before the header has come,
	// only the deadline of the call counts.
	maxSilence = time.Minute
)

// Client makes tool calls. Create it with New. It is safe for concurrent use.
type Client struct {
	transports map[manner]*http.Transport
	silence    time.Duration
}

// manner is what the calls of a transport share. Connections are not shared
// across manners.
type manner struct {
	private bool // may dial loopback and private networks
	once    bool // keeps no connections
}

// New returns a client that keeps up to slots idle connections per host.
func New(slots int) *Client {
	c := &Client{transports: map[manner]*http.Transport{}, silence: maxSilence}
	for _, m := range []manner{{}, {private: true}, {once: true}, {private: true, once: true}} {
		c.transports[m] = newTransport(m, slots)
	}
	return c
}

// Close closes the idle connections.
func (c *Client) Close() {
	for _, transport := range c.transports {
		transport.CloseIdleConnections()
	}
}

func newTransport(m manner, slots int) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second, Control: guard(m.private)}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		DisableKeepAlives:      m.once,
		MaxIdleConns:           4 * slots,
		MaxIdleConnsPerHost:    slots,
		IdleConnTimeout:        keptIdle,
		TLSHandshakeTimeout:    handshakeTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
}

// The networks that Call.AllowPrivate adds. Link-local ones are not among them,
// because clouds serve credentials there.
var (
	loopbackAndPrivateV4 = []netip.Prefix{
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"),
		netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	}
	loopbackAndPrivateV6 = []netip.Prefix{netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("fc00::/7")}
	// credentialServers are servers that the guard would allow: EC2's in a
	// private network, Azure's in a public one.
	credentialServers = []netip.Addr{netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("168.63.129.16")}
)

// guard returns the check of a dialled address. The dialer calls it between
// name resolution and connecting.
func guard(private bool) func(network, address string, c syscall.RawConn) error {
	options := []ssrf.Option{ssrf.WithAnyPort()} // the tool's URL chooses its port, checkRedirect the later ones
	if private {
		options = append(options,
			ssrf.WithAllowedV4Prefixes(loopbackAndPrivateV4...), ssrf.WithAllowedV6Prefixes(loopbackAndPrivateV6...))
	}
	guardian := ssrf.New(options...)
	return func(network, address string, c syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err == nil && slices.Contains(credentialServers, at.Addr().Unmap()) {
			return fmt.Errorf("%w: %s serves credentials", ssrf.ErrProhibitedIP, at.Addr())
		}
		refused := guardian.Safe(network, address, c)
		if refused != nil && err == nil && !private && isPrivate(at.Addr().Unmap()) {
			return fmt.Errorf("%w: %w", errPrivate, refused)
		}
		return refused
	}
}

// errPrivate is the error of an address that Call.AllowPrivate would allow.
var errPrivate = errors.New("the address is private")

func isPrivate(addr netip.Addr) bool {
	in := func(p netip.Prefix) bool { return p.Contains(addr) }
	return slices.ContainsFunc(loopbackAndPrivateV4, in) || slices.ContainsFunc(loopbackAndPrivateV6, in)
}

// isAddressRefused reports whether an error is the guard's.
func isAddressRefused(err error) bool {
	return errors.Is(err, ssrf.ErrProhibitedIP) || errors.Is(err, ssrf.ErrProhibitedNetwork) ||
		errors.Is(err, ssrf.ErrInvalidHostPort) || errors.Is(err, ssrf.ErrProhibitedPort)
}
