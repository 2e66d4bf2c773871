package proxy_test

import (
	"io"
	"net"
	"net/http"
	"testing"
)

// Clients whose connection was made before the listener closed are served: it
// would reset those that wait to be accepted.
func TestShutdownServesWhoHasConnected(t *testing.T) {
	t.Parallel()
	s := start(t, record(t, okReply).addr, setup{})
	const many = 50
	peers := make([]*peer, many)
	for i := range peers {
		peers[i] = s.dial("")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.stop()
	}()
	for i, p := range peers {
		if _, err := io.WriteString(p.TCPConn, request("GET /", "")); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
	for i, p := range peers {
		if res := p.reply("GET"); res.StatusCode != http.StatusOK || !res.Close {
			t.Errorf("connection %d: got status %d and close %t, want 200, and the end",
				i, res.StatusCode, res.Close)
		}
	}
	within(t, done, "the shutdown")
	_, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.addr)
	if err == nil {
		t.Error("got a connection after the shutdown")
	}
}
