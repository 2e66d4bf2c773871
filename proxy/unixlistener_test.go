package proxy_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"tollbook/audit"
	"tollbook/proxy"
)

// Whoever connects to a unix socket has no address; only if the settings say so
// is it believed what it forwards.
func TestUnixSocketsAreListenedTo(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		trust           bool
		client, forward string
	}{
		"not trusted": {false, "", ""},
		"trusted":     {true, "192.0.2.7", "192.0.2.7"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := record(t, okReply)
			l := listenUnix(t)
			path := l.Addr().String()
			s := start(t, rec.addr, setup{listener: l, proxy: proxy.Config{TrustUnix: test.trust}})
			c, err := (&net.Dialer{}).DialContext(context.Background(), "unix", path)
			if err != nil {
				t.Fatalf("dialling: %v", err)
			}
			defer c.Close()
			text := request("GET /", "", "X-Forwarded-For: 192.0.2.7", "Connection: close")
			if _, err := io.WriteString(c, text); err != nil {
				t.Fatalf("asking: %v", err)
			}
			if got := readAll(t, c); !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") {
				t.Errorf("got %q", got)
			}
			if got := strings.Join(headerOf(rec.one(t), "X-Forwarded-For"), "|"); got != test.forward {
				t.Errorf("got X-Forwarded-For %q upstream, want %q", got, test.forward)
			}
			if r := s.only(audit.Completed); r.IPAddress != test.client || r.PeerIP != "" {
				t.Errorf("got ip_address %q and peer_ip %q, want %q and none", r.IPAddress, r.PeerIP, test.client)
			}
		})
	}
}
