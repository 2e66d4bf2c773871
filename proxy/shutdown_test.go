package proxy_test

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tollbook/proxy"
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

// A slicer hands out what comes on its connections byte by byte.
type slicer struct{ *net.TCPListener }

func newSlicer(t *testing.T) slicer {
	return slicer{listen(t).(*net.TCPListener)} //nolint:forcetypeassert // tcp
}

// Accept implements [net.Listener].
func (l slicer) Accept() (net.Conn, error) {
	c, err := l.TCPListener.Accept()
	return sliced{c}, err
}

type sliced struct{ net.Conn }

// Read implements [net.Conn].
func (c sliced) Read(p []byte) (int, error) { return c.Conn.Read(p[:min(1, len(p))]) }

// A connection of HTTP/2 is told to go, however its preface was cut into packets:
// with nothing asked on it, it would be waited for until the end of the drain.
func TestShutdownKnowsAPrefaceThatComesInPieces(t *testing.T) {
	t.Parallel()
	s := start(t, record(t, okReply).addr, setup{listener: newSlicer(t)})
	c := s.dialHTTP2(1 << 16)
	if f, ok := c.readAny(); !ok || f.kind != frameSettings {
		t.Fatalf("got frame %+v, want the server's settings", f)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.stop()
	}()
	c.until(frameGoAway, 0)
	_ = c.Close() // a client that goes need not be waited for
	within(t, done, "the shutdown")
}

// A slowListener accepts nobody before it is told to.
type slowListener struct {
	*net.TCPListener
	accept chan struct{} // closed when it may
	asked  chan struct{} // one for each deadline
}

func (l *slowListener) Accept() (net.Conn, error) {
	<-l.accept
	return l.TCPListener.Accept()
}

func (l *slowListener) SetDeadline(t time.Time) error {
	l.asked <- struct{}{}
	return l.TCPListener.SetDeadline(t)
}

// The kernel has made the connections already that nobody has accepted.
func TestShutdownAcceptsWhoWaits(t *testing.T) {
	t.Parallel()
	l := &slowListener{
		TCPListener: listen(t).(*net.TCPListener), //nolint:forcetypeassert // tcp
		accept:      make(chan struct{}), asked: make(chan struct{}, 99),
	}
	s := start(t, record(t, okReply).addr, setup{listener: l})
	peers := []*peer{s.dial(request("GET /", "")), s.dial(request("GET /", "")), s.dial(request("GET /", ""))}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.stop()
	}()
	within(t, l.asked, "the shutdown")
	close(l.accept)
	for _, p := range peers {
		wantStatus(t, p.reply("GET"), http.StatusOK)
	}
	within(t, done, "its end")
}

func TestServedRequestsAreNotCountedAsUnparsed(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	s := start(t, record(t, okReply).addr, setup{proxy: proxy.Config{Metrics: proxy.NewMetrics(reg)}})
	p := s.dial(request("GET /", ""))
	wantStatus(t, p.reply("GET"), http.StatusOK)
	_ = p.Close()
	broken := s.dial("GET / HTTP/1.1\r\nbad header\r\n\r\n")
	wantStatus(t, broken.reply("GET"), http.StatusBadRequest)
	_ = broken.Close()
	if err := s.close(); err != nil {
		t.Fatalf("closing: %v", err)
	}
	wantValues(t, scrape(t, reg), map[string]float64{"tollbook_requests_unparsed_total": 1})
}
