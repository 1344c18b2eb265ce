package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
)

// adminAddress is where dev serves /livez, /readyz and /metrics unless it is
// told otherwise or another program is there.
const adminAddress = "127.0.0.1:8081"

// listen listens on a flag's address. Its error says what to write.
func listen(ctx context.Context, flag, address string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s %s: address already in use; end the program that has it, or write %s %s",
			flag, address, flag, freeAddress(ctx, address))
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s %s: permission denied; choose a port above 1023", flag, address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s %s: this machine does not have this address; "+
			"write %s 127.0.0.1:8080, or 0.0.0.0:8080 for all of its addresses", flag, address, flag)
	}
	return nil, fmt.Errorf("%s %s: %w", flag, address, err)
}

// freeAddress is the next address after a busy one that is free now.
func freeAddress(ctx context.Context, busy string) string {
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

// listenAdmin listens for the admin endpoints.
func (c *devCmd) listenAdmin(ctx context.Context) (net.Listener, error) {
	if c.AdminListen != "" {
		return listen(ctx, "--admin-listen", c.AdminListen)
	}
	if l, err := new(net.ListenConfig).Listen(ctx, "tcp", adminAddress); err == nil {
		return l, nil
	}
	return listen(ctx, "--admin-listen", "127.0.0.1:0")
}

// probeNATS looks whether the embedded NATS server will find its address free:
// the server itself only logs a busy one.
func (c *devCmd) probeNATS(ctx context.Context) error {
	if c.NATSURL != "" {
		return nil
	}
	probe, err := listen(ctx, "--nats-listen", c.NATSListen)
	if err != nil {
		return err
	}
	if err := probe.Close(); err != nil {
		return fmt.Errorf("listen for NATS: %w", err)
	}
	return nil
}

// usable is an address that a client can write, for one that a server listens
// on. open: others than this machine can reach it.
func usable(listening string) (address string, open bool) {
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

// outside is this machine's address for others in its network, or "".
func outside() string {
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

// colored tells whether lines on a file are to have colors.
func (c *devCmd) colored(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && c.NoColor == "" && c.Term != "dumb" && info.Mode()&os.ModeCharDevice != 0
}
