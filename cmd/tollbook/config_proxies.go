package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// trustedProxies are the peers whose word on the client's address is believed.
// The zero value is nobody.
type trustedProxies struct {
	// Prefixes are masked, of at least one bit, and not IPv4 mapped to IPv6: a
	// peer's address is unmapped, and loses its zone, before it is looked up.
	Prefixes []netip.Prefix
	// Unix is whoever connects to our Unix socket; only where we listen on one.
	Unix bool
}

// trustedUnix is the word for those who connect to our Unix socket.
const trustedUnix = "unix"

// String is the list as it is set.
func (t trustedProxies) String() string {
	var items []string
	for _, p := range t.Prefixes {
		items = append(items, showPrefix(p))
	}
	if t.Unix {
		items = append(items, trustedUnix)
	}
	return strings.Join(items, ",")
}

// showPrefix writes a prefix that is one address as that.
func showPrefix(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

func parseTrustedProxies(s setting, text string) (trustedProxies, error) {
	items, err := parseList(s, text)
	if err != nil {
		return trustedProxies{}, err
	}
	var t trustedProxies
	for _, item := range items {
		if item == trustedUnix {
			t.Unix = true
			continue
		}
		p, err := parseProxy(s, item)
		if err == nil && slices.Contains(t.Prefixes, p) {
			err = fmt.Errorf("%s stands there twice; remove one", show(item))
		}
		if err != nil {
			return trustedProxies{}, err
		}
		t.Prefixes = append(t.Prefixes, p)
	}
	return t, nil
}

// parseProxy takes a CIDR, or an address, which is a CIDR of all its bits.
func parseProxy(s setting, text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if addr, addrErr := netip.ParseAddr(text); addrErr == nil {
		if addr.Zone() != "" {
			return p, fmt.Errorf("%s has a zone, which is not looked at; write %s",
				show(text), addr.WithZone("").Unmap())
		}
		p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	if err != nil {
		return p, fmt.Errorf("%s is not an IP address, a CIDR or the word unix; write e.g. %s",
			show(text), s.example)
	}
	return p, checkProxy(text, p)
}

func checkProxy(text string, p netip.Prefix) error {
	right, what := p.Masked(), "has bits set behind its prefix"
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		right = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).Masked()
		what = "is an IPv4 address in IPv6 form"
	}
	switch {
	case right.Bits() == 0:
		return fmt.Errorf("%s is everybody, and everybody could then write the client's address; "+
			"list your proxies alone", show(text))
	case p != right:
		return fmt.Errorf("%s %s; write %s", show(text), what, showPrefix(right))
	case right.IsSingleIP() && right.Addr().IsUnspecified():
		return fmt.Errorf("%s is nobody's address; write e.g. 127.0.0.1", show(text))
	}
	return nil
}

// trustedProxies checks that those who are trusted can be told from others.
func (c checker) trustedProxies() {
	cfg := c.cfg
	trusted := &cfg.TrustedProxies
	if !c.good(trusted, &cfg.ListenAddr) {
		return
	}
	socket := cfg.ListenAddr.Network == "unix"
	switch {
	case trusted.Unix && !socket:
		c.fail(c.name(trusted), "unix is whoever connects to a Unix socket, and %s is %s; "+
			"list addresses, or listen on unix:///path", c.name(&cfg.ListenAddr), cfg.ListenAddr)
	case trusted.Prefixes != nil && !trusted.Unix && socket:
		c.warn(c.name(trusted), "has no effect: whoever connects to a Unix socket has no address; "+
			"add unix to trust them")
	}
}
