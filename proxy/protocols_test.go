package proxy_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// The machine's own authority, which the tests' TLS servers and clients know.
var testAuthority = sync.OnceValue(func() struct {
	*authority
	server tls.Certificate
} {
	t := onlyFatal{}
	a := newAuthority(t)
	return struct {
		*authority
		server tls.Certificate
	}{a, a.issue("server", nil).tls(t)}
})

// onlyFatal stands for a test where there is none yet.
type onlyFatal struct{ testing.TB }

func (onlyFatal) Helper()                        {}
func (onlyFatal) Fatalf(format string, _ ...any) { panic(format) }

func serverTLS(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: protocols,
		Certificates: []tls.Certificate{testAuthority().server},
	}
}

func clientTLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: testAuthority().pool(), ServerName: "localhost",
	}
}

// A dialect is a protocol that clients of a sidecar speak.
type dialect struct {
	name   string
	secure bool
	http2  bool
}

var dialects = []dialect{
	{"HTTP/1.1", false, false},
	{"HTTP/1.1 over TLS", true, false},
	{"HTTP/2 over TLS", true, true},
	{"h2c", false, true},
}

// setup has the sidecar speak TLS if the dialect does, and trust the upstreams.
func (d dialect) setup(t testing.TB, with setup) setup {
	with.ca = t.TempDir() + "/ca.pem"
	write(t, with.ca, testAuthority().pem)
	if d.secure {
		with.server.TLS = serverTLS("h2", "http/1.1")
	}
	return with
}

// client speaks to a sidecar that listens as the dialect wants.
func (d dialect) client(s *sidecar) *http.Client {
	own := &http.Transport{
		Protocols: new(http.Protocols), TLSClientConfig: clientTLS(), DisableCompression: true,
	}
	own.Protocols.SetHTTP1(!d.http2)
	own.Protocols.SetHTTP2(d.http2 && d.secure)
	own.Protocols.SetUnencryptedHTTP2(d.http2 && !d.secure)
	s.idle = append(s.idle, own.CloseIdleConnections)
	return &http.Client{Transport: own, Timeout: 3 * patience}
}

func (d dialect) scheme() string {
	if d.secure {
		return "https://"
	}
	return "http://"
}

// request makes one of user A.
func (d dialect) request(s *sidecar, method, path string, header ...string) *http.Request {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, d.scheme()+s.addr+path, nil)
	if err != nil {
		s.t.Fatalf("making a request: %v", err)
	}
	for _, line := range append(header, authorization()) {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	return r
}

// upstreams are servers of every protocol that there is for upstreams.
var upstreams = map[string]func(testing.TB, http.HandlerFunc) (url string){
	"http": func(t testing.TB, h http.HandlerFunc) string { return "http://" + httpUpstream(t, h) },
	"h2c":  h2cUpstream,
	"https": func(t testing.TB, h http.HandlerFunc) string { // with HTTP/2
		server := httptest.NewUnstartedServer(h)
		server.TLS = serverTLS("h2")
		server.EnableHTTP2 = true
		server.StartTLS()
		t.Cleanup(server.Close)
		return server.URL
	},
	"unix": func(t testing.TB, h http.HandlerFunc) string {
		server := httptest.NewUnstartedServer(h)
		_ = server.Listener.Close()
		server.Listener = listenUnix(t)
		server.Start()
		t.Cleanup(server.Close)
		return "unix://" + server.Listener.Addr().String()
	},
}

func listenUnix(t testing.TB) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", t.TempDir()+"/s")
	if err != nil {
		t.Fatalf("listening: %v", err)
	}
	return l
}

// dialTLS opens a raw connection over TLS to a sidecar.
func (s *sidecar) dialTLS(protocols ...string) *tls.Conn {
	s.t.Helper()
	config := clientTLS()
	config.NextProtos = protocols
	c, err := (&tls.Dialer{Config: config}).DialContext(context.Background(), "tcp", s.addr)
	if err != nil {
		s.t.Fatalf("dialling: %v", err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	return c.(*tls.Conn) //nolint:forcetypeassert // tls.Dialer
}
