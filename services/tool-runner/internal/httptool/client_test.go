package httptool

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"code.dny.dev/ssrf"

	"windlass.dev/windlass/pkg/run"
)

func TestGuard(t *testing.T) {
	t.Parallel()
	tests := []struct {
		address         string
		public, private bool // whether the guarded and the private client may dial it
	}{
		{"93.184.215.14:443", true, true},
		{"[2606:4700::1111]:8443", true, true},
		{"127.0.0.1:80", false, true},
		{"127.8.9.10:80", false, true},
		{"[::1]:80", false, true},
		{"10.0.0.1:80", false, true},
		{"172.31.255.255:80", false, true},
		{"192.168.1.1:80", false, true},
		{"[fd12::1]:80", false, true},
		{"0.0.0.0:80", false, false},
		{"[::]:80", false, false},
		{"169.254.169.254:80", false, false},
		{"[::ffff:169.254.169.254]:80", false, false},
		{"[fe80::1%eth0]:80", false, false},
		{"[fd00:ec2::254]:80", false, false},
		{"168.63.129.16:80", false, false},
		{"[::ffff:168.63.129.16]:80", false, false},
		{"100.100.100.200:80", false, false},
		{"[64:ff9b::7f00:1]:80", false, false},
		{"[2002:7f00:1::]:80", false, false},
		{"224.0.0.1:80", false, false},
		{"255.255.255.255:80", false, false},
		{":80", false, false},
	}
	for _, tt := range tests {
		network := "tcp4"
		if strings.HasPrefix(tt.address, "[") {
			network = "tcp6"
		}
		for private, want := range map[bool]bool{false: tt.public, true: tt.private} {
			err := guard(private)(network, tt.address, nil)
			if (err == nil) != want || err != nil && !isAddressRefused(err) {
				t.Errorf("guard(private %v)(%s) = %v, want allowed %v", private, tt.address, err, want)
			}
		}
	}
	if err := guard(true)("unix", "/run/docker.sock", nil); !errors.Is(err, ssrf.ErrProhibitedNetwork) {
		t.Errorf("guard of a unix socket = %v, want ErrProhibitedNetwork", err)
	}
}

// FuzzGuard holds that only public addresses are dialled, in any notation, and
// with AllowPrivate loopback and private ones, too. An IPv6 address that
// contains an IPv4 address is checked as that one.
func FuzzGuard(f *testing.F) {
	for _, at := range []string{
		"93.184.215.14", "127.0.0.1", "::1", "::ffff:169.254.169.254", "fd00:ec2::254", "64:ff9b::7f00:1", "2002:7f00:1::", "100.64.0.1",
		"fe80::1", "2606:4700::1111", "ff02::1", "::", "::7f00:1", "2001:0:7f00:1::", "168.63.129.16", "198.18.0.1", "fec0::1",
	} {
		f.Add(netip.MustParseAddr(at).AsSlice(), uint16(80), "")
	}
	f.Add([]byte{254, 128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, uint16(443), "eth0")
	f.Fuzz(func(t *testing.T, raw []byte, port uint16, zone string) {
		addr, ok := netip.AddrFromSlice(raw)
		if !ok {
			return
		}
		network := "tcp4"
		if !addr.Is4() {
			network, addr = "tcp6", addr.WithZone(zone)
		}
		for _, private := range []bool{false, true} {
			err := guard(private)(network, netip.AddrPortFrom(addr, port).String(), nil)
			if err == nil && !harmless(addr.WithZone(""), private) {
				t.Errorf("guard(private %v) lets %s pass", private, addr)
			}
			if err != nil && !isAddressRefused(err) {
				t.Errorf("guard(private %v)(%s) = %v, which is no refusal", private, addr, err)
			}
		}
	})
}

// harmless is an independent wording of the least that the guard has to check.
func harmless(addr netip.Addr, private bool) bool {
	addr = addr.Unmap()
	switch in := addr.As16(); {
	case private && (addr.IsLoopback() || addr.IsPrivate()):
		return addr != netip.MustParseAddr("fd00:ec2::254")
	case !addr.IsGlobalUnicast() || addr.IsPrivate() || addr == netip.MustParseAddr("168.63.129.16"):
		return false
	case addr.Is4():
		return addr.As4()[0] != 0 && !netip.MustParsePrefix("100.64.0.0/10").Contains(addr) && addr.As4()[0] < 240
	case in[0] == 0x20 && in[1] == 0x02: // 6to4
		return harmless(netip.AddrFrom4([4]byte(in[2:6])), false)
	}
	return addr.As16()[0]>>5 == 1 // 2000::/3, which is all that is given out
}

// FuzzURL holds that any URL of a tool is refused or leads to an http or https
// request with the call's headers, each on one line.
func FuzzURL(f *testing.F) {
	for _, at := range []string{
		"http://127.0.0.1:80/a?b#c", "https://[::ffff:7f00:1]/", "http://0x7f.1/", "http://2130706433/", "file:///etc/passwd", "gopher://x/", "http:///x",
		"http://user:secret@x/", "HTTP://x", "http://x\r\nHost: y/", "//x/", "http://[fe80::1%25eth0]/", "http://x:99999/", "http://%00/",
	} {
		f.Add(at, "POST", "key\r\nX: y", "call\x00", "00-0-0-00")
	}
	f.Fuzz(func(t *testing.T, at, method, key, callID, trace string) {
		call := Call{URL: at, Method: method, Arguments: []byte(`{}`), IdempotencyKey: key, CallID: callID, Traceparent: trace}
		req, failure := call.request(t.Context())
		if failure != nil {
			if failure.Code != run.CodeAddressRefused || failure.Retriable || strings.Contains(failure.Message, at) && at != "" && len(at) > 8 {
				t.Errorf("%q is refused with %+v", at, failure)
			}
			return
		}
		if (req.URL.Scheme != "http" && req.URL.Scheme != "https") || req.URL.Host == "" {
			t.Errorf("%q leads to %s", at, req.URL)
		}
		for name, values := range req.Header {
			for _, value := range values {
				if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
					t.Errorf("the header %s is %q", name, value)
				}
			}
		}
	})
}

func TestRefusedAddresses(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	call := tool(t, func(http.ResponseWriter, *http.Request) { calls.Add(1) })
	call.AllowPrivate = false
	port := call.URL[strings.LastIndex(call.URL, ":"):]
	for _, host := range []string{
		"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0", "[::]",
		"169.254.169.254", "10.0.0.1", "[fd00:ec2::254]",
	} {
		t.Run(host, func(t *testing.T) {
			call := call
			call.URL = "http://" + host + port
			_, f := do(t, client(t), call)
			wantCode(t, f, run.CodeAddressRefused, false)
		})
	}
	for _, url := range []string{"file:///etc/passwd", "gopher://127.0.0.1/", "unix:///x", "http://", "//x/y", "\x00"} {
		call.URL = url
		_, f := do(t, client(t), call)
		wantCode(t, f, run.CodeAddressRefused, false)
	}
	//nolint:paralleltest // one count for all
	for _, host := range []string{"2130706433", "0x7f000001", "0177.0.0.1", "127.1"} { // names to Go, addresses to some
		call.URL = "http://" + host + port
		if _, f := do(t, client(t), call); f == nil {
			t.Errorf("call of %s succeeded", host)
		}
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("tool on a loopback address was reached %d times", n)
	}
}

func TestPrivateAddressNamesTheSetting(t *testing.T) {
	t.Parallel()
	call := tool(t, func(http.ResponseWriter, *http.Request) {})
	for _, private := range []bool{false, true} {
		call.AllowPrivate = private
		for url, names := range map[string]bool{call.URL: !private, "http://10.0.0.1:1/": !private, "http://169.254.169.254/": false} {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			call.URL = url
			_, f := client(t).Do(ctx, call)
			cancel()
			if named := f != nil && strings.Contains(f.Message, "allow_private: true"); named != names {
				t.Errorf("%s, allow_private %t: %+v; names the setting: %t, want %t", url, private, f, named, names)
			}
		}
	}
}
