package proxy_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"tollbook/audit"
	"tollbook/proxy"
	"tollbook/proxy/clerk"
	"tollbook/proxy/clerk/clerktest"
)

const (
	issuer = "https://example.accounts.dev"
	userA  = "user_A"
)

// patience bounds every wait of a test that goes well without it.
const patience = 10 * time.Second

// noon is when tokens are made and judged.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// sign returns a token for user A at noon, with changed claims; nil leaves one out.
func sign(changes map[string]any) string {
	claims := clerktest.SessionClaims(issuer, userA, noon)
	maps.Copy(claims, changes)
	for name, value := range changes {
		if value == nil {
			delete(claims, name)
		}
	}
	return clerktest.SharedKey("ins_test").Sign(claims)
}

// goodToken is one that is accepted.
var goodToken = sync.OnceValue(func() string { return sign(nil) })

func authorization() string { return "Authorization: Bearer " + goodToken() }

// A setup says how a sidecar differs from the usual one.
type setup struct {
	proxy     proxy.Config
	transport http.RoundTripper // nil: a real one
	timeout   time.Duration     // for the upstream's head
	audit     func(*audit.Config)
	claims    []string
	verifier  proxy.Verifier
	server    proxy.ServerConfig
	ca        string       // file with the roots, if the upstream is https
	listener  net.Listener // nil: a loopback port
}

// A sidecar is the proxy on a loopback port, with its trail and its log.
type sidecar struct {
	t       testing.TB
	addr    string
	dir     string
	handler *proxy.Handler
	server  *proxy.Server
	trail   *audit.Log
	logs    *observer.ObservedLogs
	client  *http.Client
	with    proxy.ServerConfig
	idle    []func()     // close connections of clients
	close   func() error // ends all; more than one call is fine
}

// start runs a sidecar in front of the upstream, a host:port or a URL, until the
// test ends.
func start(t testing.TB, upstream string, with setup) *sidecar {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	s := &sidecar{t: t, dir: filepath.Join(t.TempDir(), "trail"), logs: logs, with: with.server}
	trailConfig := audit.Config{Dir: s.dir, Durability: audit.OS}
	if with.audit != nil {
		with.audit(&trailConfig)
	}
	var err error
	if s.trail, err = audit.Open(trailConfig); err != nil {
		t.Fatalf("audit.Open: %v", err)
	}
	cfg := with.proxy
	cfg.Log, cfg.Trail = zap.New(core), s.trail
	if cfg.Verifier = with.verifier; cfg.Verifier == nil {
		cfg.Verifier = newVerifier(t, with.claims)
	}
	if !strings.Contains(upstream, "://") {
		upstream = "http://" + upstream
	}
	where, err := url.Parse(upstream)
	if err != nil {
		t.Fatalf("parsing the upstream: %v", err)
	}
	if where.Scheme != "https" {
		with.ca = ""
	}
	dialling, target, err := proxy.NewTransport(proxy.TransportConfig{
		Upstream: where, DialTimeout: patience, HeaderTimeout: with.timeout, CAFile: with.ca,
	})
	if err != nil {
		t.Fatalf("NewTransport: %v", err)
	}
	cfg.Transport, cfg.Upstream, cfg.UpstreamStall = dialling, target, with.timeout
	if with.transport != nil {
		cfg.Transport = with.transport
	}
	if s.handler, err = proxy.New(cfg); err != nil {
		t.Fatalf("proxy.New: %v", err)
	}
	if with.listener == nil {
		with.listener = listen(t)
	}
	s.listen(with.listener)
	s.close = sync.OnceValue(func() error {
		s.stop()
		dialling.CloseIdleConnections()
		return s.trail.Close()
	})
	t.Cleanup(func() { _ = s.close() })
	return s
}

// startSeen is start for an upstream that looks at the sidecar in front of it.
func startSeen(t testing.TB, with setup, serve func(self func() *sidecar) (addr string)) *sidecar {
	t.Helper()
	var s *sidecar
	ready := make(chan struct{})
	addr := serve(func() *sidecar {
		<-ready
		return s
	})
	s = start(t, addr, with)
	close(ready)
	return s
}

func newVerifier(t testing.TB, claims []string) *clerk.Verifier {
	t.Helper()
	v, err := clerk.New(t.Context(), clerk.Config{
		Issuer: issuer, HeaderClaims: claims, Now: func() time.Time { return noon },
		Keys: clerk.KeyConfig{PEM: clerktest.SharedKey("ins_test").PEM()},
	})
	if err != nil {
		t.Fatalf("clerk.New: %v", err)
	}
	t.Cleanup(func() { _ = v.Close() })
	return v
}

func (s *sidecar) listen(l net.Listener) {
	s.addr = l.Addr().String()
	s.server = proxy.NewServer(s.handler, s.with)
	go func() { _ = s.server.Serve(l) }()
	eventually(s.t, "serving", s.server.Serving) // or a Shutdown would not know of it
	own := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}
	s.client = &http.Client{
		Transport: own, Timeout: 3 * patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	s.idle = append(s.idle, own.CloseIdleConnections)
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listening: %v", err)
	}
	return l
}

// stop lets what is in flight end, and ends it by force when it does not.
func (s *sidecar) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, closeIdle := range s.idle {
		closeIdle() // HTTP/2 gives them a second otherwise
	}
	err := errors.Join(s.server.Shutdown(ctx), s.handler.Wait(ctx))
	if err != nil {
		s.t.Errorf("a request does not end: %v", err)
		s.handler.Abort()
		_ = s.server.Close()
	}
}

// An answer is a reply whose body is closed when the test ends.
type answer struct{ *http.Response }

// do sends a request with a good token through the client.
func (s *sidecar) do(method, target string, body io.Reader, header ...string) answer {
	s.t.Helper()
	return s.send(method, target, body, append(header, authorization())...)
}

// send sends a request with these header lines and no others.
func (s *sidecar) send(method, target string, body io.Reader, header ...string) answer {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.addr+target, body)
	if err != nil {
		s.t.Fatalf("making a request: %v", err)
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	res, err := s.client.Do(r)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, target, err)
	}
	s.t.Cleanup(func() { _ = res.Body.Close() })
	return answer{res}
}

func readAll(t testing.TB, r io.Reader) string {
	t.Helper()
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("reading: %v", err)
	}
	return string(content)
}
