package proxy

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// An arrival is what is believed of the way that a request took to us.
type arrival struct {
	trusted bool   // the peer is a proxy of ours
	client  string // IP address of the client; "" if it is not known
	chain   string // X-Forwarded-For for the upstream; "" for none
	host    string // X-Forwarded-Host, likewise
	proto   string // X-Forwarded-Proto: http or https
}

// arrivalOf reads what the request tells of its way. What a proxy says is
// believed if it is one of ours.
func (h *Handler) arrivalOf(r *http.Request) arrival {
	peer := parseIP(r.RemoteAddr)
	a := arrival{client: textOf(peer), chain: textOf(peer), host: r.Host, proto: "http"}
	if r.TLS != nil {
		a.proto = "https"
	}
	if !h.trusts(peer) {
		return a
	}
	a.trusted = true
	a.walk(h, strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ","))
	if proto := only(r.Header["X-Forwarded-Proto"]); strings.EqualFold(proto, "http") ||
		strings.EqualFold(proto, "https") {
		a.proto = strings.ToLower(proto)
	}
	if host := only(r.Header["X-Forwarded-Host"]); host != "" && validHost(host) {
		a.host = host
	}
	return a
}

// walk goes from the nearest hop to the farthest, for as long as those that say
// so are ours. Whatever stands before may be the client's invention, and is left
// out.
func (a *arrival) walk(h *Handler, hops []string) {
	for _, text := range slices.Backward(hops) {
		hop := parseIP(strings.TrimSpace(text))
		if !hop.IsValid() {
			return
		}
		a.client = textOf(hop)
		if a.chain == "" {
			a.chain = a.client
		} else {
			a.chain = a.client + ", " + a.chain
		}
		if !h.trusts(hop) {
			return
		}
	}
}

// trusts reports whether what the peer says is believed. The zero address is that
// of a peer on a unix socket.
func (h *Handler) trusts(peer netip.Addr) bool {
	if !peer.IsValid() {
		return h.TrustUnix
	}
	for _, proxies := range h.TrustedProxies {
		if proxies.Contains(peer) {
			return true
		}
	}
	return false
}

// parseIP reads an address with or without a port; the zero Addr if it is none.
func parseIP(text string) netip.Addr {
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil {
		withPort, _ := netip.ParseAddrPort(text)
		addr = withPort.Addr()
	}
	return addr.Unmap().WithZone("")
}

// textOf returns "" for the zero address.
func textOf(addr netip.Addr) string {
	if !addr.IsValid() {
		return ""
	}
	return addr.String()
}

// only returns the value if there is just one.
func only(values []string) string {
	if len(values) != 1 {
		return ""
	}
	return values[0]
}

// validHost reports whether text could be a Host: no list, no blank, no path.
func validHost(text string) bool {
	return len(text) <= 255 && strings.IndexFunc(text, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`,/\@"'<>?#`, c)
	}) < 0
}

// setForwarded tells the upstream how the request came.
func (a *arrival) setForwarded(header http.Header) {
	setNonEmpty(header, "X-Forwarded-For", a.chain)
	setNonEmpty(header, "X-Forwarded-Host", a.host)
	setNonEmpty(header, "X-Forwarded-Proto", a.proto)
}

func setNonEmpty(header http.Header, name, value string) {
	if value != "" {
		header[name] = []string{value}
	}
}
