package proxy_test

import (
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tollbook/audit"
	"tollbook/proxy"
)

// behind is a setup that trusts these proxies.
func behind(proxies ...string) setup {
	var with setup
	for _, p := range proxies {
		with.proxy.TrustedProxies = append(with.proxy.TrustedProxies, netip.MustParsePrefix(p))
	}
	return with
}

// wantForwarded checks what the upstream is told of the request's way; "" is none.
func wantForwarded(t *testing.T, raw, chain, host, proto string) {
	t.Helper()
	for name, want := range map[string]string{
		"X-Forwarded-For": chain, "X-Forwarded-Host": host, "X-Forwarded-Proto": proto,
	} {
		var one []string
		if want != "" {
			one = []string{want}
		}
		if got := headerOf(raw, name); !slices.Equal(got, one) {
			t.Errorf("got %s %q, want %q", name, got, want)
		}
	}
}

func TestTheClientIsFoundBehindTrustedProxies(t *testing.T) {
	t.Parallel()
	const peer = "127.0.0.1"
	for name, c := range map[string]struct {
		hops          []string // X-Forwarded-For
		client, chain string
	}{
		"nothing said":      {nil, peer, peer},
		"empty":             {[]string{""}, peer, peer},
		"client":            {[]string{"203.0.113.7"}, "203.0.113.7", "203.0.113.7, 127.0.0.1"},
		"client's own lies": {[]string{"10.9.9.9, 203.0.113.7"}, "203.0.113.7", "203.0.113.7, 127.0.0.1"},
		"lies and a proxy": {
			[]string{"6.6.6.6, 203.0.113.7, 10.1.1.1"}, "203.0.113.7", "203.0.113.7, 10.1.1.1, 127.0.0.1",
		},
		"two headers": {
			[]string{"6.6.6.6, 203.0.113.7", "10.1.1.1"}, "203.0.113.7", "203.0.113.7, 10.1.1.1, 127.0.0.1",
		},
		"all trusted":    {[]string{"10.2.2.2,10.1.1.1"}, "10.2.2.2", "10.2.2.2, 10.1.1.1, 127.0.0.1"},
		"unknown":        {[]string{"203.0.113.7, unknown"}, peer, peer},
		"unknown behind": {[]string{"unknown, 10.1.1.1"}, "10.1.1.1", "10.1.1.1, 127.0.0.1"},
		"a gap":          {[]string{"203.0.113.7,, 10.1.1.1"}, "10.1.1.1", "10.1.1.1, 127.0.0.1"},
		"a name":         {[]string{"evil.example"}, peer, peer},
		"script":         {[]string{"<script>, 1.2.3.4.5"}, peer, peer},
		"octal":          {[]string{"0177.0.0.1"}, peer, peer},
		"port":           {[]string{"203.0.113.7:4711"}, "203.0.113.7", "203.0.113.7, 127.0.0.1"},
		"IPv6":           {[]string{"2001:DB8::1"}, "2001:db8::1", "2001:db8::1, 127.0.0.1"},
		"IPv6 in braces": {[]string{"[2001:db8::1]"}, "2001:db8::1", "2001:db8::1, 127.0.0.1"},
		"IPv6 with port": {[]string{"[2001:db8::1]:4711"}, "2001:db8::1", "2001:db8::1, 127.0.0.1"},
		"IPv6 with zone": {[]string{"fe80::1%eth0"}, "fe80::1", "fe80::1, 127.0.0.1"},
		"IPv4 in IPv6": {
			[]string{"203.0.113.7, ::ffff:10.1.1.1"}, "203.0.113.7", "203.0.113.7, 10.1.1.1, 127.0.0.1",
		},
		"trusted IPv6": {
			[]string{"203.0.113.7, 2001:db8:1::9"}, "203.0.113.7", "203.0.113.7, 2001:db8:1::9, 127.0.0.1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := record(t, okReply)
			s := start(t, rec.addr, behind("127.0.0.0/8", "10.0.0.0/8", "2001:db8:1::/48"))
			var header []string
			for _, hops := range c.hops {
				header = append(header, "X-Forwarded-For: "+hops)
			}
			s.dial(request("GET /", "", append(header, "X-Real-IP: 6.6.6.6",
				"Forwarded: for=6.6.6.6")...)).reply("GET")
			wantForwarded(t, rec.one(t), c.chain, "api.example", "http")
			if r := s.only(audit.Received); r.IPAddress != c.client || r.PeerIP != peer {
				t.Errorf("got ip_address %q and peer_ip %q, want %q and %q", r.IPAddress, r.PeerIP, c.client,
					peer)
			}
		})
	}
}

func TestHostAndSchemeAreBelievedOfTrustedProxies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header      []string
		host, proto string
	}{
		"https":   {[]string{"X-Forwarded-Proto: https"}, "api.example", "https"},
		"HTTPS":   {[]string{"X-Forwarded-Proto: HTTPS"}, "api.example", "https"},
		"http":    {[]string{"X-Forwarded-Proto: Http"}, "api.example", "http"},
		"another": {[]string{"X-Forwarded-Proto: wss"}, "api.example", "http"},
		"a list":  {[]string{"X-Forwarded-Proto: https,http"}, "api.example", "http"},
		"twice": {
			[]string{"X-Forwarded-Proto: https", "X-Forwarded-Proto: https"},
			"api.example", "http",
		},
		"host":         {[]string{"X-Forwarded-Host: www.example:8443"}, "www.example:8443", "http"},
		"host twice":   {[]string{"X-Forwarded-Host: a", "X-Forwarded-Host: b"}, "api.example", "http"},
		"host list":    {[]string{"X-Forwarded-Host: a, b"}, "api.example", "http"},
		"host's path":  {[]string{"X-Forwarded-Host: a/b"}, "api.example", "http"},
		"host's user":  {[]string{"X-Forwarded-Host: a@b"}, "api.example", "http"},
		"host's quote": {[]string{`X-Forwarded-Host: a"b`}, "api.example", "http"},
		"host's blank": {[]string{"X-Forwarded-Host: a b"}, "api.example", "http"},
		"host's bytes": {[]string{"X-Forwarded-Host: \xff"}, "api.example", "http"},
		"long host": {
			[]string{"X-Forwarded-Host: " + strings.Repeat("a", 256)},
			"api.example",
			"http",
		},
		"empty host": {[]string{"X-Forwarded-Host:"}, "api.example", "http"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := record(t, okReply)
			s := start(t, rec.addr, behind("127.0.0.1/32"))
			s.dial(request("GET /", "", c.header...)).reply("GET")
			raw := rec.one(t)
			wantForwarded(t, raw, "127.0.0.1", c.host, c.proto)
			if got := headerOf(raw, "Host"); !slices.Equal(got, []string{"api.example"}) {
				t.Errorf("got Host %q, want the client's", got)
			}
			if r := s.only(audit.Received); r.Host != "api.example" {
				t.Errorf("got http_host %q recorded, want the client's", r.Host)
			}
		})
	}
}

func TestNobodyElseIsBelieved(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, behind("10.0.0.0/8", "127.0.0.2/32", "::1/128"))
	s.dial(request("GET /", "", "X-Forwarded-For: 10.1.1.1", "X-Forwarded-For: 127.0.0.2",
		"X-Forwarded-Proto: https", "X-Forwarded-Host: evil.example", "X-Real-IP: 10.1.1.1",
		"True-Client-IP: 10.1.1.1", "XReal-IP: 10.1.1.1")).reply("GET")
	raw := rec.one(t)
	wantForwarded(t, raw, "127.0.0.1", "api.example", "http")
	if strings.Contains(raw, "10.1.1.1") {
		t.Errorf("got %q upstream, want no address of the client's own", raw)
	}
	if r := s.only(audit.Received); r.IPAddress != "127.0.0.1" || r.PeerIP != "127.0.0.1" {
		t.Errorf("got ip_address %q and peer_ip %q, want the peer's", r.IPAddress, r.PeerIP)
	}
}

func TestRefusalsTellOfTheClientToo(t *testing.T) {
	t.Parallel()
	s := start(t, record(t, okReply).addr, behind("127.0.0.0/8"))
	s.dial(plain("GET /", "", "X-Forwarded-For: 6.6.6.6, 203.0.113.7")).reply("GET")
	if r := s.only(audit.Refused); r.IPAddress != "203.0.113.7" || r.PeerIP != "127.0.0.1" {
		t.Errorf("got ip_address %q and peer_ip %q, want 203.0.113.7 and 127.0.0.1", r.IPAddress,
			r.PeerIP)
	}
}

func TestPeersOnUnixSocketsAreBelievedWhereSaid(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		trust                bool
		client, chain, proto string
	}{
		"trusted": {true, "203.0.113.7", "203.0.113.7", "https"}, "not": {false, "", "", "http"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := record(t, okReply)
			s := start(t, rec.addr, setup{proxy: proxy.Config{TrustUnix: c.trust}})
			path := filepath.Join(t.TempDir(), "s")
			l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
			if err != nil {
				t.Fatalf("listening: %v", err)
			}
			go func() { _ = s.server.Serve(l) }()
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "unix", path)
			if err != nil {
				t.Fatalf("dialling: %v", err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			_, _ = conn.Write([]byte(request("GET /", "", "X-Forwarded-For: 6.6.6.6, 203.0.113.7",
				"X-Forwarded-Proto: https", "Connection: close")))
			_ = conn.SetDeadline(time.Now().Add(patience))
			readAll(t, conn)
			wantForwarded(t, rec.one(t), c.chain, "api.example", c.proto)
			if r := s.only(audit.Received); r.IPAddress != c.client || r.PeerIP != "" {
				t.Errorf("got ip_address %q and peer_ip %q, want %q and none", r.IPAddress, r.PeerIP, c.client)
			}
		})
	}
}
