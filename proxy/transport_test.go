package proxy_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"tollbook/audit"
	"tollbook/proxy"
)

func TestUpstreamsOfOtherSchemesAreErrors(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"", "ftp", "ws", "HTTP"} {
		_, _, err := proxy.NewTransport(proxy.TransportConfig{Upstream: &url.URL{Scheme: scheme, Host: "x"}})
		want := fmt.Sprintf("proxy: upstream scheme %q: want http, https, h2c or unix", scheme)
		if err == nil || err.Error() != want {
			t.Errorf("got error %v, want %s", err, want)
		}
	}
}

// h2cUpstream is a server of HTTP/2 without TLS, and of nothing else.
func h2cUpstream(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return "h2c://" + server.Listener.Addr().String()
}

// An HTTP/2 upstream may send trailers behind a body of known length.
func TestRepliesOfHTTP2AreHeldAndDigested(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 5, 100_000} {
		content := strings.Repeat("x", size)
		s := start(t, h2cUpstream(t, func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor != 2 || r.Header.Get("X-User-ID") != userA {
				t.Errorf("got HTTP/%d for %q upstream", r.ProtoMajor, r.Header.Get("X-User-ID"))
			}
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Length", fmt.Sprint(size))
			w.Header().Set("Trailer", "X-Sum")
			_, _ = io.WriteString(w, content)
			w.Header().Set("X-Sum", "1")
		}), setup{})
		if got := readAll(t, s.do("POST", "/a%2fb|?x;y", strings.NewReader("hello")).Body); got != content {
			t.Errorf("got %d bytes, want %d", len(got), size)
		}
		r := s.only(audit.Completed)
		wantOutcome(t, r, audit.OK, "", 200, 200)
		wantBody(t, "request", r.Req, "hello", true)
		wantBody(t, "reply", r.Res, content, true)
	}
}

func TestEarlyRepliesOfHTTP2ComeWhole(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789abcdef", 16<<10)
	s := start(t, h2cUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		_, _ = io.WriteString(w, long)
	}), setup{})
	p := s.dial(request("POST /", "begun", "Content-Length: 100000000")) // and stalls
	res := p.reply("POST")
	wantStatus(t, res, http.StatusRequestEntityTooLarge)
	if got := readAll(t, res.Body); got != long || !res.Close {
		t.Errorf("got %d bytes, close %t, want %d bytes and the end", len(got), res.Close, len(long))
	}
	wantNoMore(t, p)
	if r := s.only(audit.Completed); r.Outcome != audit.OK || r.Req.Complete {
		t.Errorf("got %s, request complete %t, want ok and incomplete", r.Outcome, r.Req.Complete)
	}
}

// The upstream's certificate is checked, and a failed handshake has forwarded
// nothing.
func TestUpstreamsWithBadCertificatesGetNothing(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("got a request upstream")
	}))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	s := start(t, server.URL, setup{})
	wantReply(t, s.do("GET", "/", nil), http.StatusBadGateway, "upstream_unreachable", "Upstream unreachable")
	wantOutcome(t, s.only(audit.Completed), audit.NotForwarded, "upstream_unreachable", 502, 0)
}
