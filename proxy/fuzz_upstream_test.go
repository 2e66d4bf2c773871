package proxy_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tollbook/proxy"
)

// A strictUpstream takes nothing but well-formed requests, and keeps what came.
type strictUpstream struct {
	addr      string
	transport *http.Transport // to it
	dialling  atomic.Int64    // connections

	mu     sync.Mutex
	open   map[string]bool // connections by the address of their other side
	seen   []*wireRequest  // as they began
	faults []error         // what was no request
}

func newStrictUpstream(f *testing.F) *strictUpstream {
	f.Helper()
	u := &strictUpstream{open: make(map[string]bool)}
	u.addr = upstream(f, u.serve)
	transport, _, err := proxy.NewTransport(proxy.TransportConfig{
		Upstream: &url.URL{Scheme: "http", Host: u.addr},
	})
	if err != nil {
		f.Fatalf("NewTransport: %v", err)
	}
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		u.dialling.Add(1)
		defer u.dialling.Add(-1)
		c, err := dial(ctx, network, addr)
		if err == nil {
			u.mu.Lock()
			defer u.mu.Unlock()
			u.open[c.LocalAddr().String()] = true
		}
		return c, err
	}
	u.transport = transport
	f.Cleanup(transport.CloseIdleConnections)
	return u
}

// serve takes the requests of a connection.
func (u *strictUpstream) serve(p *peer) {
	defer u.end(p.RemoteAddr().String())
	for {
		r, err := readWireHead(p.in)
		if err == nil {
			u.note(r)
			err = u.answer(p.TCPConn, p.in, r)
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, errWireEnd) && !errors.Is(err, errWireCut) {
			u.mu.Lock()
			u.faults = append(u.faults, err)
			u.mu.Unlock()
		}
		return
	}
}

func (u *strictUpstream) end(addr string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.open, addr)
}

// rests reports whether no connection is open, or about to be.
func (u *strictUpstream) rests() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.dialling.Load() == 0 && len(u.open) == 0
}

func (u *strictUpstream) note(r *wireRequest) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.seen = append(u.seen, r)
}

// answer takes the rest of the request. What it says depends on the target: the
// client can ask for a reply that comes too early, and for a WebSocket.
func (u *strictUpstream) answer(c *net.TCPConn, in *bufio.Reader, r *wireRequest) error {
	say := func(text string) { _, _ = io.WriteString(c, text) } // it may have left
	if len(r.values("Expect")) > 0 {
		say("HTTP/1.1 100 Continue\r\n\r\n")
	}
	early := strings.Contains(r.target, "early")
	if early {
		say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
	}
	if err := r.readBody(in); err != nil || early {
		return err
	}
	switch {
	case len(r.values("Upgrade")) > 0 && strings.Contains(r.target, "ws"):
		say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_ = c.CloseWrite()
		_, _ = io.Copy(io.Discard, in)
		return errWireEnd
	case r.method == http.MethodHead:
		say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
	default:
		say(okReply)
	}
	return nil
}

// take returns what came since the last call, once all connections are at their
// end. No request may be under way.
func (u *strictUpstream) take(t *testing.T) (seen []*wireRequest, faults []error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for u.transport.CloseIdleConnections(); !u.rests(); u.transport.CloseIdleConnections() {
		if time.Now().After(deadline) {
			t.Fatal("a connection to the upstream stays open")
		}
		time.Sleep(50 * time.Microsecond)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	seen, faults = u.seen, u.faults
	u.seen, u.faults = nil, nil
	return seen, faults
}
