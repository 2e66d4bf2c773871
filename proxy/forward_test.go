package proxy_test

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tollbook/audit"
	"tollbook/proxy"
)

// What the client did not send must not be there, and what it sent must, but for
// what is ours.
func TestRequestsGetNoHeadersButOurs(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{})
	s.dial(request("POST /x", "body", "Content-Length: 4", "accept: a, b", "Accept: c", "X-Empty:",
		"Range: bytes=0-1", "Keep-Alive: 5", "TE: gzip", "Proxy-Connection: close")).reply("POST")
	head, body, _ := strings.Cut(rec.one(t), "\r\n\r\n")
	if body != "body" {
		t.Errorf("got body %q, want %q", body, "body")
	}
	lines := strings.Split(head, "\r\n")[1:]
	for i, line := range lines {
		if strings.HasPrefix(line, "X-Request-Id: ") {
			lines[i] = "X-Request-Id: ours"
		}
	}
	slices.Sort(lines)
	want := []string{
		"Accept: a, b", "Accept: c", "Content-Length: 4", "Host: api.example", "Range: bytes=0-1",
		"X-Empty: ", "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: api.example",
		"X-Forwarded-Proto: http", "X-Request-Id: ours", "X-User-Id: " + userA,
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got header\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

func TestHostIsTheClients(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ configured, want string }{
		{"", "api.example"}, {"internal.example:81", "internal.example:81"},
	} {
		rec := record(t, okReply)
		s := start(t, rec.addr, setup{proxy: proxy.Config{UpstreamHost: test.configured}})
		s.dial(request("GET /", "")).reply("GET")
		if got := headerOf(rec.one(t), "Host"); !slices.Equal(got, []string{test.want}) {
			t.Errorf("got Host %q, want %q", got, test.want)
		}
		if r := s.only(audit.Received); r.Host != "api.example" {
			t.Errorf("got http_host %q, want the client's", r.Host)
		}
	}
}

func TestRepliesPassUnchanged(t *testing.T) {
	t.Parallel()
	const gzipped = "\x1f\x8b\x08\x00not really gzip"
	for name, test := range map[string]struct {
		method, reply string
		status        int
		header        map[string][]string
		body          string
	}{
		"gzip": {
			"GET", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 19\r\n\r\n" + gzipped,
			200,
			map[string][]string{"Content-Encoding": {"gzip"}, "Content-Length": {"19"}},
			gzipped,
		},
		"redirect": {
			"GET", "HTTP/1.1 302 Found\r\nLocation: /elsewhere?x=%zz\r\nContent-Length: 0\r\n\r\n",
			302,
			map[string][]string{"Location": {"/elsewhere?x=%zz"}},
			"",
		},
		"head": {
			"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 123456\r\n\r\n",
			200,
			map[string][]string{"Content-Length": {"123456"}},
			"",
		},
		"head of unknown length": {
			"HEAD", "HTTP/1.1 200 OK\r\nETag: \"x\"\r\n\r\n",
			200,
			map[string][]string{"Content-Length": nil, "Etag": {`"x"`}},
			"",
		},
		"204": {
			"DELETE", "HTTP/1.1 204 No Content\r\n\r\n",
			204,
			map[string][]string{"Content-Length": nil},
			"",
		},
		"304 with length": {
			"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 99999\r\nEtag: \"x\"\r\n\r\n",
			304,
			map[string][]string{"Etag": {`"x"`}},
			"",
		},
		"304 without length": {"GET", "HTTP/1.1 304 Not Modified\r\n\r\n", 304, nil, ""},
		"cookies": {
			"GET", "HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n",
			200,
			map[string][]string{"Set-Cookie": {"a=1; Path=/", "b=2"}},
			"",
		},
		"their own 401": {
			"GET", "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nno",
			401,
			map[string][]string{"Www-Authenticate": {"Basic"}, "Cache-Control": nil},
			"no",
		},
		"strange status": {"GET", "HTTP/1.1 299 Hm\r\nContent-Length: 2\r\n\r\nok", 299, nil, "ok"},
		"no type": {
			"GET", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
			200,
			map[string][]string{"Server": nil},
			"<html>",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, record(t, test.reply).addr, setup{})
			res := s.dial(request(test.method+" /", "")).reply(test.method)
			wantStatus(t, res, test.status)
			if got := readAll(t, res.Body); got != test.body {
				t.Errorf("got body %q, want %q", got, test.body)
			}
			for name, want := range test.header {
				if got := res.Header[name]; !slices.Equal(got, want) {
					t.Errorf("got %s %q, want %q", name, got, want)
				}
			}
			r := s.only(audit.Completed)
			if r.Outcome != audit.OK || r.HTTPStatus != int64(test.status) ||
				r.UpstreamStatus != int64(test.status) || r.Res == nil || !r.Res.Complete ||
				r.Res.Bytes != int64(len(test.body)) || r.Res.SHA256.String() != sha256Hex(test.body) {
				t.Errorf("got record %s %d %d %+v", r.Outcome, r.HTTPStatus, r.UpstreamStatus, r.Res)
			}
		})
	}
}

func TestReplyTrailersPass(t *testing.T) {
	t.Parallel()
	s := start(t, record(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"+
		"3\r\nabc\r\n0\r\nX-Sum: 6\r\nX-Late: 7\r\n\r\n").addr, setup{})
	res := s.do("GET", "/", nil)
	if got := readAll(t, res.Body); got != "abc" {
		t.Errorf("got body %q, want abc", got)
	}
	if got := res.Trailer.Get("X-Sum") + res.Trailer.Get("X-Late"); got != "67" {
		t.Errorf("got trailers %v, want both", res.Trailer)
	}
}

func TestExpectationsAreTheUpstreamsToMeet(t *testing.T) {
	t.Parallel()
	addr := scripted(t, func(p *peer, r *http.Request) {
		if r.Header.Get("Expect") != "100-continue" {
			t.Errorf("got Expect %q upstream", r.Header.Get("Expect"))
		}
		p.say("HTTP/1.1 100 Continue\r\n\r\n")
		body, _ := io.ReadAll(r.Body)
		p.say("HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + string(body))
	})
	s := start(t, addr, setup{})
	p := s.dial(request("POST /", "", "Content-Length: 5", "Expect: 100-continue"))
	wantStatus(t, p.reply("POST"), http.StatusContinue)
	p.say("hello")
	res := p.reply("POST")
	if got := readAll(t, res.Body); res.StatusCode != 200 || got != "hello" {
		t.Errorf("got %d %q, want 200 hello", res.StatusCode, got)
	}
	if r := s.only(audit.Completed); r.Req.Bytes != 5 || !r.Req.Complete {
		t.Errorf("got request body %+v, want 5 bytes, complete", r.Req)
	}
}

func TestRefusedExpectationsAskForNoBody(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{})
	p := s.dial(plain("POST /", "", "Content-Length: 100000000", "Expect: 100-continue"))
	res := p.reply("POST") // a 100 would be read here
	wantReply(t, res, http.StatusUnauthorized, "token_missing", "Not authenticated")
	if rest := p.everything(); rest != "" {
		t.Errorf("got %q after the reply, want the end of the connection", rest)
	}
}

func TestExpectationsTheUpstreamRefusesAskForNoBody(t *testing.T) {
	t.Parallel()
	s := start(t, scripted(t, func(p *peer, _ *http.Request) {
		p.say("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
		_ = p.Close()
	}), setup{})
	p := s.dial(request("POST /", "", "Content-Length: 5", "Expect: 100-continue"))
	res := p.reply("POST")
	wantStatus(t, res, http.StatusExpectationFailed)
	if got := readAll(t, res.Body) + p.everything(); got != "no" {
		t.Errorf("got %q, want the reply and the end of the connection", got)
	}
	if r := s.only(audit.Completed); r.Req.Complete || r.Req.Bytes != 0 || r.Outcome != audit.OK {
		t.Errorf("got %s, request body %+v, want ok and an incomplete body", r.Outcome, r.Req)
	}
}

func TestUpgradesToH2CAreStripped(t *testing.T) {
	t.Parallel()
	for _, connection := range []string{"Upgrade, HTTP2-Settings", "Upgrade", "close"} {
		rec := record(t, okReply)
		s := start(t, rec.addr, setup{})
		res := s.dial(request("GET /", "", "Connection: "+connection, "Upgrade: h2c",
			"HTTP2-Settings: AAMAAABkAAQAAP__")).reply("GET")
		wantStatus(t, res, http.StatusOK)
		got := rec.one(t)
		for _, name := range []string{"Connection", "Upgrade", "HTTP2-Settings"} {
			if values := headerOf(got, name); values != nil {
				t.Errorf("Connection: %s: got %s %q upstream, want none", connection, name, values)
			}
		}
	}
}

func TestUnaskedUpgradesAreBadReplies(t *testing.T) {
	t.Parallel()
	for name, header := range map[string][]string{
		"plain": nil, "h2c": {"Connection: Upgrade", "Upgrade: h2c"},
		"another": {"Connection: Upgrade", "Upgrade: websocket"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			closed := make(chan struct{})
			s := start(t, upstream(t, func(p *peer) {
				_, _ = http.ReadRequest(p.in)
				upgrade := "h2c"
				if name == "plain" {
					upgrade = "websocket"
				}
				p.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + upgrade + "\r\n\r\n")
				_, _ = io.Copy(io.Discard, p.in)
				close(closed)
			}), setup{})
			res := s.dial(request("GET /", "", header...)).reply("GET")
			wantReply(t, res, http.StatusBadGateway, "upstream_unreachable", "Upstream unreachable")
			within(t, closed, "closing the upstream's connection")
			r := s.only(audit.Completed)
			if r.Outcome != audit.UpstreamError || r.UpstreamStatus != 101 || r.HTTPStatus != 502 {
				t.Errorf("got %s %d %d, want upstream_error 101 502", r.Outcome, r.UpstreamStatus, r.HTTPStatus)
			}
		})
	}
}

const webSocket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13"

// echo upgrades and says what it hears.
func echo(t *testing.T) string {
	return scripted(t, func(p *peer, r *http.Request) {
		if got := r.Header.Get("Upgrade") + " " + r.Header.Get("Connection"); got != "websocket Upgrade" {
			t.Errorf("got upgrade %q upstream", got)
		}
		p.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(p.TCPConn, p.in)
	})
}

func TestWebSocketsWorkAndAreRecordedWhenClosed(t *testing.T) {
	t.Parallel()
	s := start(t, echo(t), setup{})
	p := s.dial(request("GET /ws", "", webSocket))
	res := p.reply("GET")
	if res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("X-Request-Id") == "" {
		t.Fatalf("got %d, X-Request-ID %q", res.StatusCode, res.Header.Get("X-Request-Id"))
	}
	for _, text := range []string{"hello", "GET / HTTP/1.1\r\n\r\n", strings.Repeat("x", 100_000)} {
		go p.say(text)
		heard := make([]byte, len(text))
		if _, err := io.ReadFull(p.in, heard); err != nil || string(heard) != text {
			t.Fatalf("got %.40q, %v, want the echo", heard, err)
		}
	}
	if n := len(s.onDisk()); n != 1 {
		t.Errorf("got %d records while the tunnel is open, want 1", n)
	}
	_ = p.Close()
	r := s.only(audit.Completed)
	if r.Outcome != audit.OK || r.HTTPStatus != 101 || r.UpstreamStatus != 101 {
		t.Errorf("got %s %d %d, want ok 101 101", r.Outcome, r.HTTPStatus, r.UpstreamStatus)
	}
}

func TestWebSocketsNeedAToken(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{})
	expired := "Authorization: Bearer " + sign(map[string]any{"exp": noon.Add(-time.Hour).Unix()})
	for _, header := range [][]string{{webSocket}, {webSocket, expired}} {
		wantStatus(t, s.dial(plain("GET /ws", "", header...)).reply("GET"), http.StatusUnauthorized)
	}
	if n := rec.hits(); n != 0 {
		t.Errorf("got %d requests upstream, want none", n)
	}
}

func TestRefusedWebSocketsLeaveNoTunnel(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, setup{})
	p := s.dial(request("GET /ws", "", webSocket) + plain("GET /smuggled", ""))
	res := p.reply("GET")
	wantStatus(t, res, http.StatusOK)
	readAll(t, res.Body)
	wantStatus(t, p.reply("GET"), http.StatusUnauthorized)
	if got := rec.one(t); strings.Contains(got, "smuggled") {
		t.Errorf("got %q upstream", got)
	}
}
