package proxy_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"tollbook/audit"
	"tollbook/proxy"
)

// tlsUpstream is a server of HTTP/1.1 and HTTP/2 with the pair, that wants
// clients to be known to clients if that is not nil.
func tlsUpstream(t testing.TB, p pair, clients *authority, h http.HandlerFunc) (addr string) {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{p.tls(t)}}
	if clients != nil {
		server.TLS.ClientAuth, server.TLS.ClientCAs = tls.RequireAndVerifyClientCert, clients.pool()
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// startTLS is start for an upstream with these files.
func startTLS(t testing.TB, upstream string, cfg proxy.TransportConfig) *sidecar {
	t.Helper()
	var err error
	if cfg.Upstream, err = url.Parse(upstream); err != nil {
		t.Fatalf("parsing the upstream: %v", err)
	}
	cfg.DialTimeout = patience
	transport, _, err := proxy.NewTransport(cfg)
	if err != nil {
		t.Fatalf("NewTransport: %v", err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return start(t, upstream, setup{transport: transport})
}

func TestUpstreamsOfTheGivenAuthorityAreTrusted(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	addr := tlsUpstream(t, a.issue("x", nil), nil, func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 || r.Header.Get("X-User-ID") != userA {
			t.Errorf("got HTTP/%d for %q upstream, want 2", r.ProtoMajor, r.Header.Get("X-User-ID"))
		}
		_ = http.NewResponseController(w).Flush() // or it would tell the length
		_, _ = io.Copy(w, r.Body)
		w.Header().Set(http.TrailerPrefix+"X-Sum", "1")
	})
	for _, host := range []string{"127.0.0.1", "localhost"} { // by address and by name
		_, port, _ := net.SplitHostPort(addr)
		s := startTLS(t, "https://"+host+":"+port, proxy.TransportConfig{CAFile: a.file()})
		res := s.do("POST", "/", strings.NewReader("hello"))
		if got := readAll(t, res.Body); got != "hello" || res.Trailer.Get("X-Sum") != "1" {
			t.Errorf("got %q and trailers %v, want hello and X-Sum", got, res.Trailer)
		}
		r := s.only(audit.Completed)
		wantOutcome(t, r, audit.OK, "", 200, 200)
		wantBody(t, "request", r.Req, "hello", true)
		wantBody(t, "reply", r.Res, "hello", true)
	}
}

// The end of a reply of HTTP/2 is a frame, perhaps with trailers.
func TestTheEndOfHTTP2RepliesWaitsForTheRecord(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	files := a.file()
	for name, length := range map[string]string{"known length": "5", "unknown length": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s *sidecar
			addr := tlsUpstream(t, a.issue("x", nil), nil, func(w http.ResponseWriter, _ *http.Request) {
				if length != "" {
					w.Header().Set("Content-Length", length)
				}
				_ = http.NewResponseController(w).Flush()
				_, _ = io.WriteString(w, "hello")
				w.Header().Set(http.TrailerPrefix+"X-Sum", "1")
				s.breakTrail()
			})
			s = startTLS(t, "https://"+addr, proxy.TransportConfig{CAFile: files})
			p := s.dial(request("GET /", ""))
			if length != "" {
				wantReply(t, p.reply("GET"), http.StatusInternalServerError,
					"audit_outcome_unrecorded", "Outcome could not be recorded")
				return
			}
			wantCut(t, p, 5)
		})
	}
}

func TestUpstreamsThatCannotBeTrustedGetNothing(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	elsewhere := func(c *x509.Certificate) {
		c.DNSNames, c.IPAddresses = []string{"elsewhere.example"}, nil
	}
	for name, test := range map[string]struct {
		pair
		file string
	}{
		"another authority": {newAuthority(t).issue("x", nil), a.file()},
		"the system's":      {a.issue("x", nil), ""},
		"another name":      {a.issue("localhost", elsewhere), a.file()},
		"expired":           {a.issue("x", expired), a.file()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := tlsUpstream(t, test.pair, nil, func(http.ResponseWriter, *http.Request) {
				t.Error("got a request upstream")
			})
			s := startTLS(t, "https://"+addr, proxy.TransportConfig{CAFile: test.file})
			wantReply(t, s.do("POST", "/", strings.NewReader("x")), http.StatusBadGateway,
				"upstream_unreachable", "Upstream unreachable")
			r := s.only(audit.Completed)
			wantOutcome(t, r, audit.NotForwarded, "upstream_unreachable", 502, 0)
		})
	}
}

// mTLS is an upstream that tells whom it has been asked by.
func mTLS(t *testing.T, a *authority) (url string) {
	return "https://" + tlsUpstream(t, a.issue("x", nil), a, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Known-As", r.TLS.PeerCertificates[0].Subject.CommonName)
	})
}

func TestTheUpstreamKnowsUsByOurCertificate(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	url := mTLS(t, a)
	files := newPairFolder(t, a.issue("sidecar", nil))
	s := startTLS(t, url, proxy.TransportConfig{
		CAFile: a.file(), CertFile: files.cert, KeyFile: files.key,
	})
	if got := s.do("GET", "/", nil).Header.Get("X-Known-As"); got != "sidecar" {
		t.Errorf("got known as %q, want sidecar", got)
	}
	stranger := newPairFolder(t, newAuthority(t).issue("sidecar", nil))
	for _, files := range []pairFolder{{}, stranger} {
		s := startTLS(t, url, proxy.TransportConfig{
			CAFile: a.file(), CertFile: files.cert, KeyFile: files.key,
		})
		wantReply(t, s.do("GET", "/", nil), http.StatusBadGateway,
			"upstream_unreachable", "Upstream unreachable")
		if r := s.only(audit.Completed); r.Outcome != audit.UpstreamError && r.Outcome != audit.NotForwarded {
			t.Errorf("got outcome %s, want that of an upstream that would not have us", r.Outcome)
		}
	}
}

func TestANewClientCertificateIsUsedForTheNextConnection(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	files := newPairFolder(t, a.issue("old", nil))
	var clock watch
	var told reloads
	s := startTLS(t, mTLS(t, a), proxy.TransportConfig{
		CAFile: a.file(), CertFile: files.cert, KeyFile: files.key, Now: clock.now, OnReload: told.add,
	})
	transport := s.handler.Transport.(*http.Transport) //nolint:forcetypeassert // startTLS
	for _, name := range []string{"old", "new"} {
		files.write(t, a.issue(name, nil))
		clock.tick()
		transport.CloseIdleConnections()
		if got := s.do("GET", "/", nil).Header.Get("X-Known-As"); got != name {
			t.Errorf("got known as %q, want %s", got, name)
		}
		if r := told.only(t); r.Err != nil || r.Files[0] != files.cert || r.NotAfter.IsZero() {
			t.Errorf("got report %+v, want one of success", r)
		}
	}
}

func TestNewRootsAreTrustedFromTheNextConnectionOn(t *testing.T) {
	t.Parallel()
	old, next := newAuthority(t), newAuthority(t)
	addr := tlsUpstream(t, next.issue("x", nil), nil, func(http.ResponseWriter, *http.Request) {})
	file := old.file()
	var clock watch
	var told reloads
	s := startTLS(t, "https://"+addr, proxy.TransportConfig{
		CAFile: file, Now: clock.now, OnReload: told.add,
	})
	wantStatus(t, s.do("GET", "/", nil), http.StatusBadGateway)
	write(t, file, []byte("half"))
	clock.tick()
	wantStatus(t, s.do("GET", "/", nil), http.StatusBadGateway)
	if r := told.only(t); r.Err == nil || !strings.Contains(r.Err.Error(), "no certificate in PEM form") {
		t.Errorf("got report %+v, want one of the broken file", r)
	}
	write(t, file, append(append([]byte{}, old.pem...), next.pem...))
	clock.tick()
	wantStatus(t, s.do("GET", "/", nil), http.StatusOK)
	if r := told.only(t); r.Err != nil || len(r.Files) != 1 || r.Files[0] != file || !r.NotAfter.IsZero() {
		t.Errorf("got report %+v, want one of success", r)
	}
}

func TestBadFilesForTheUpstreamAreErrorsAtTheStart(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	good := newPairFolder(t, a.issue("x", nil))
	garbage := filepath.Join(t.TempDir(), "garbage.pem")
	write(t, garbage, []byte("garbage"))
	for name, test := range map[string]struct {
		scheme string
		cfg    proxy.TransportConfig
		want   string
	}{
		"missing roots": {"https", proxy.TransportConfig{CAFile: "/none/ca.pem"}, "/none/ca.pem: no such file"},
		"no roots":      {"https", proxy.TransportConfig{CAFile: garbage}, `garbage.pem": no certificate in PEM form`},
		"a key":         {"https", proxy.TransportConfig{CAFile: good.key}, `tls.key" holds a key and no certificate`},
		"no key file":   {"https", proxy.TransportConfig{CertFile: good.cert}, "go together"},
		"no cert file":  {"https", proxy.TransportConfig{KeyFile: good.key}, "go together"},
		"bad pair": {
			"https",
			proxy.TransportConfig{CertFile: good.cert, KeyFile: good.cert},
			`tls.crt": no private key in PEM form`,
		},
		"http": {"http", proxy.TransportConfig{CAFile: a.file()}, `scheme "http" has no TLS`},
		"h2c":  {"h2c", proxy.TransportConfig{CertFile: good.cert, KeyFile: good.key}, `scheme "h2c" has no TLS`},
		"unix": {"unix", proxy.TransportConfig{KeyFile: good.key}, `scheme "unix" has no TLS`},
	} {
		test.cfg.Upstream = &url.URL{Scheme: test.scheme, Host: "x"}
		_, _, err := proxy.NewTransport(test.cfg)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got error %v, want one with %q", name, err, test.want)
		}
	}
}

func TestUpstreamsOnSocketsAreAsked(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "api.sock")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatalf("listening: %v", err)
	}
	server := &httptest.Server{Listener: l, Config: &http.Server{
		ReadHeaderTimeout: patience,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Host != "api.example" || r.Header.Get("X-User-ID") != userA {
				t.Errorf("got Host %q for %q upstream", r.Host, r.Header.Get("X-User-ID"))
			}
			_, _ = io.Copy(w, r.Body)
		}),
	}}
	server.Start()
	t.Cleanup(server.Close)
	s := start(t, "unix://"+path, setup{})
	p := s.dial(request("POST /", "hello", "Content-Length: 5"))
	if got := readAll(t, p.reply("POST").Body); got != "hello" {
		t.Errorf("got %q, want hello", got)
	}
	wantBody(t, "reply", s.only(audit.Completed).Res, "hello", true)
}
