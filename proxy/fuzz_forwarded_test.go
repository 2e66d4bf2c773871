package proxy_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tollbook/proxy"
)

// hop reads an address as a proxy of ours may have written it; nil if it is none.
// [net] reads it here, and netip in what is judged.
func hop(text string) (ip net.IP, written string) {
	text = strings.TrimSpace(text)
	if host, port, err := net.SplitHostPort(text); err == nil {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return nil, ""
		}
		if strings.HasPrefix(text, "[") && !strings.Contains(host, ":") {
			return nil, "" // brackets are IPv6's (RFC 3986 §3.2.2)
		}
		text = host
	} else {
		text = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	}
	if address, zone, zoned := strings.Cut(text, "%"); zoned && zone != "" && strings.Contains(address, ":") {
		text = address
	}
	if ip = net.ParseIP(text); ip == nil {
		return nil, ""
	}
	return ip, ip.String()
}

func FuzzForwarded(f *testing.F) {
	for _, seed := range [][3]string{
		{"10.0.0.1:80", "", "10.0.0.0/8"},
		{"10.0.0.1:80", "1.2.3.4", "10.0.0.0/8"},
		{"10.0.0.1:80", "6.6.6.6, 1.2.3.4, 10.0.0.2", "10.0.0.0/8"},
		{"10.0.0.1:80", "6.6.6.6\n1.2.3.4,10.0.0.2", "10.0.0.0/8,1.2.3.4/32"},
		{"10.0.0.1:80", "10.0.0.3, unknown, 10.0.0.2", "10.0.0.0/8"},
		{"[::1]:80", `2001:db8::1, [2001:db8::2]:443, "[2001:db8::3]"`, "::/0"},
		{"[::ffff:10.0.0.1]:80", "::ffff:1.2.3.4, fe80::1%eth0", "10.0.0.0/8,fe80::/10"},
		{"[::ffff:10.0.0.1]:80", "1.2.3.4, fe80::1%", "10.0.0.0/8,fe80::/10"},
		{"10.0.0.1:80", "1.2.3.4, [10.0.0.2]:80", "10.0.0.0/8"},
		{"1.2.3.4:80", "10.0.0.1", "10.0.0.0/8"},
		{"@", "1.2.3.4", "0.0.0.0/0"},
		{"10.0.0.1:80", ",,1.2.3.4:56,", "0.0.0.0/0"},
		{"10.0.0.1:80", "1.2.3.4,", "0.0.0.0/0"},
		{"10.0.0.1:80", "010.0.0.1, 1.2.3, 1.2.3.4]", "0.0.0.0/0"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, peer, lines, proxies string) {
		if peer != "@" && !isPeer(peer) {
			return
		}
		h := &proxy.Handler{}
		var nets []*net.IPNet
		for text := range strings.SplitSeq(proxies, ",") {
			_, ipNet, err := net.ParseCIDR(text)
			prefix, prefixErr := netip.ParsePrefix(text)
			if err != nil || prefixErr != nil || prefix.Addr().Is4In6() {
				continue // refused at the start
			}
			nets, h.TrustedProxies = append(nets, ipNet), append(h.TrustedProxies, prefix)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.RemoteAddr, r.Header["X-Forwarded-For"] = peer, strings.Split(lines, "\n")
		client, chain := h.Arrival(r)
		hops := append(strings.Split(strings.ReplaceAll(lines, "\n", ","), ","), peer)
		wantClient, wantChain := believed(hops, nets)
		if client != wantClient || chain != wantChain {
			t.Errorf("got client %q and chain %q, want %q and %q", client, chain, wantClient, wantChain)
		}
		for text := range strings.SplitSeq(chain, ", ") {
			if addr, err := netip.ParseAddr(text); chain != "" && (err != nil || addr.String() != text) {
				t.Errorf("got %q in chain %q, want IP addresses", text, chain)
			}
		}
		if _, nearest := hop(peer); !strings.HasSuffix(chain, nearest) {
			t.Errorf("got chain %q, want %q at its end", chain, nearest)
		}
	})
}

// isPeer reports whether net/http has such remote addresses.
func isPeer(text string) bool {
	_, err := netip.ParseAddrPort(text)
	return err == nil
}

// believed returns the farthest hop behind which all are ours, and the chain from
// it on.
func believed(hops []string, ours []*net.IPNet) (client, chain string) {
	var known []string
	for _, text := range slices.Backward(hops) {
		ip, written := hop(text)
		if ip == nil {
			break
		}
		client, known = written, append(known, written)
		if !slices.ContainsFunc(ours, func(n *net.IPNet) bool { return n.Contains(ip) }) {
			break
		}
	}
	slices.Reverse(known)
	return client, strings.Join(known, ", ")
}
