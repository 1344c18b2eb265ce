package address

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
)

// Listen listens on the address of a flag. Its error says what to write
// instead.
func Listen(ctx context.Context, flag, address string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s %s: address already in use; end the program that has it, or write %s %s",
			flag, address, flag, nextFree(ctx, address))
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s %s: permission denied; choose a port above 1023", flag, address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s %s: this machine does not have this address; "+
			"write %s 127.0.0.1:8080, or 0.0.0.0:8080 for all of its addresses", flag, address, flag)
	}
	return nil, fmt.Errorf("%s %s: %w", flag, address, err)
}

// nextFree returns the next address after a busy one that is free now.
func nextFree(ctx context.Context, busy string) string {
	host, text, err := net.SplitHostPort(busy)
	port, parseErr := strconv.Atoi(text)
	if err != nil || parseErr != nil {
		return "127.0.0.1:8090"
	}
	const tries = 50
	for next := port + 1; next <= min(port+tries, 65535); next++ {
		address := net.JoinHostPort(host, strconv.Itoa(next))
		if l, err := new(net.ListenConfig).Listen(ctx, "tcp", address); err == nil {
			_ = l.Close()
			return address
		}
	}
	return net.JoinHostPort(host, "0")
}

// ToDial returns an address at which a client on this machine reaches a server
// that listens on listening, and whether other machines reach the server, too.
func ToDial(listening string) (address string, open bool) {
	at, err := netip.ParseAddrPort(listening)
	if err != nil {
		return listening, false
	}
	ip := at.Addr().Unmap()
	if !ip.IsUnspecified() {
		return netip.AddrPortFrom(ip, at.Port()).String(), !ip.IsLoopback()
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port()).String(), true
}

// OfMachine returns this machine's address in its network, "" if it has none.
func OfMachine() string {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return ""
	}
	for _, a := range addresses {
		if network, ok := a.(*net.IPNet); ok && network.IP.To4() != nil && network.IP.IsGlobalUnicast() {
			return network.IP.String()
		}
	}
	return ""
}
