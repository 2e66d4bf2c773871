package main

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// listenAddr is an address to listen on, ready for [net.Listen].
type listenAddr struct {
	Network string // tcp or unix
	Address string // host:port, or the absolute path of the socket
}

// String is the address as it is set.
func (a listenAddr) String() string {
	if a.Network == "unix" {
		return "unix://" + a.Address
	}
	return a.Address
}

// tcpAddr is host:port to listen on. An empty host is every interface.
type tcpAddr string

// maxSocketPath is what every kernel takes: sun_path holds 104 bytes on macOS,
// 108 on Linux, the closing NUL among them.
const maxSocketPath = 103

func parseListenAddr(s setting, text string) (listenAddr, error) {
	if socket, ok := strings.CutPrefix(text, "unix://"); ok {
		return listenAddr{"unix", socket}, checkSocket(socket)
	}
	if err := checkHostPort(text, 0); err != nil {
		return listenAddr{}, fmt.Errorf("%w; write host:port such as %s, or unix:///path", err, s.example)
	}
	return listenAddr{"tcp", text}, nil
}

func parseTCPAddr(s setting, text string) (tcpAddr, error) {
	if err := checkHostPort(text, 0); err != nil {
		return "", fmt.Errorf("%w; write host:port such as %s", err, s.example)
	}
	return tcpAddr(text), nil
}

// checkSocket accepts the clean absolute path of a socket.
func checkSocket(socket string) error {
	switch {
	case !path.IsAbs(socket) || socket == "/":
		return fmt.Errorf("%s is not the absolute path of a socket; write unix:///path",
			show("unix://"+socket))
	case path.Clean(socket) != socket:
		return fmt.Errorf("the path of the socket is not clean; write unix://%s", path.Clean(socket))
	case len(socket) > maxSocketPath:
		return fmt.Errorf("the path of the socket has %d bytes; write %d at most",
			len(socket), maxSocketPath)
	}
	return nil
}

// hostName is what may stand for a host that is no IP address (RFC 1123, and
// the underscores of container names).
var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,252})$`)

// checkHostPort accepts host:port with a port of at least least. The host may be
// empty.
func checkHostPort(text string, least uint64) error {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return fmt.Errorf("%s is not host:port", show(text))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n < least {
		return fmt.Errorf("%s has no port from %d to 65535", show(text), least)
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && !hostName.MatchString(host) {
		return fmt.Errorf("%s has no host name or IP address", show(text))
	}
	return nil
}

// loopback reports whether host can only mean this machine. An address with a
// zone is none, as proxy/clerk has it too.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") ||
		err == nil && ip.Zone() == "" && ip.Unmap().IsLoopback()
}

// wildcard reports whether host is every interface to a server, and this
// machine to a client.
func wildcard(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

// overlap reports whether two servers could not listen on a and b together.
func overlap(a, b listenAddr) bool {
	x, y, same := samePort(a, b)
	return same && (sameHost(x, y) || wildcard(x) || wildcard(y))
}

// reaches reports whether a client that dials target is sure to reach a server
// on addr. Names are not looked up.
func reaches(target, addr listenAddr) bool {
	x, y, same := samePort(target, addr)
	local := loopback(x) || wildcard(x)
	return same && (sameHost(x, y) || local && wildcard(y) || wildcard(x) && loopback(y))
}

// samePort reports whether two addresses differ in the host at most, and returns
// the hosts. Sockets have none; port 0 is another one each time.
func samePort(a, b listenAddr) (x, y string, same bool) {
	if a.Network != "tcp" || b.Network != "tcp" {
		return "", "", a == b
	}
	// Both were checked: they split.
	x, aPort, _ := net.SplitHostPort(a.Address)
	y, bPort, _ := net.SplitHostPort(b.Address)
	m, _ := strconv.Atoi(aPort)
	n, _ := strconv.Atoi(bPort)
	return x, y, m == n && m != 0
}

// sameHost compares names without case, and localhost with both its addresses.
func sameHost(a, b string) bool {
	named := strings.EqualFold(a, "localhost") || strings.EqualFold(b, "localhost")
	return strings.EqualFold(a, b) || named && loopback(a) && loopback(b)
}

// dialAddr is where a connection to u goes: a socket, or the port that its
// scheme implies where it has none.
func dialAddr(u *url.URL) listenAddr {
	if u.Scheme == "unix" {
		return listenAddr{"unix", u.Path}
	}
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return listenAddr{"tcp", net.JoinHostPort(u.Hostname(), port)}
}
