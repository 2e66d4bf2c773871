package proxy_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestReroutingHeadersOfVerifiedUsersPass(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, public())
	s.dial(request("GET /jobs", "", "X-HTTP-Method-Override: DELETE",
		"X-Original-URL: /x")).reply("GET")
	got := rec.one(t)
	if headerOf(got, "X-HTTP-Method-Override") == nil || headerOf(got, "X-Original-URL") == nil {
		t.Errorf("got %q upstream, want what is not ours unchanged", got)
	}
}

func TestOddHeaderNamesAreRefusedOnEveryRoute(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, forwarding())
	for _, name := range []string{"X_User_ID", "x.user.id", "X!User#ID"} {
		for _, text := range []string{
			plain("GET /health", "", name+": user_B"),
			plain("OPTIONS /", "", append([]string{name + ": user_B"}, aPreflight...)...),
		} {
			wantStatus(t, s.dial(text).reply("GET"), http.StatusBadRequest)
		}
	}
	if n := rec.hits(); n != 0 {
		t.Errorf("got %d requests upstream, want none", n)
	}
	wantRefused(t, s, 6)
}

func TestTrailersOfPublicRequestsAreNotForwarded(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, public())
	body := "3\r\nabc\r\n0\r\nX-User-ID: user_B\r\nAuthorization: user_B\r\n\r\n"
	res := s.dial(plain("POST /hooks/x", body, "Transfer-Encoding: chunked",
		"Trailer: X-User-ID")).reply("POST")
	wantStatus(t, res, http.StatusOK)
	if got := rec.one(t); strings.Contains(got, "user_B") || headerOf(got, "Trailer") != nil {
		t.Errorf("got a trailer upstream: %q", got)
	}
	wantNobody(t, s)
}

func TestPublicWebSocketsAreNobodys(t *testing.T) {
	t.Parallel()
	s := start(t, echo(t), public())
	p := s.dial(plain("GET /docs/ws", "", webSocket, authorization(), "X-User-ID: user_B"))
	wantStatus(t, p.reply("GET"), http.StatusSwitchingProtocols)
	const text = "GET /jobs HTTP/1.1\r\n\r\n"
	p.say(text)
	heard := make([]byte, len(text))
	if _, err := io.ReadFull(p.in, heard); err != nil || string(heard) != text {
		t.Errorf("got %q, %v, want the echo", heard, err)
	}
	_ = p.Close()
	wantNobody(t, s)
}

// A WebSocket begins with a GET without content; whatever else asks for one is an
// ordinary request.
func TestOtherRequestsAreNotUpgraded(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"content": request("GET /ws", "abc", webSocket, "Content-Length: 3"),
		"chunks":  request("GET /ws", "3\r\nabc\r\n0\r\n\r\n", webSocket, "Transfer-Encoding: chunked"),
		"POST":    request("POST /ws", "", webSocket),
		"two":     request("GET /ws", "", "Connection: Upgrade", "Upgrade: websocket, h2c"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := record(t, okReply)
			s := start(t, rec.addr, setup{})
			wantStatus(t, s.dial(text).reply("GET"), http.StatusOK)
			got := rec.one(t)
			if headerOf(got, "Upgrade") != nil || slices.Contains(headerOf(got, "Connection"), "Upgrade") {
				t.Errorf("got an upgrade upstream: %q", got)
			}
		})
	}
}

func TestMalformedUpgradesAreRefused(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, forwarding())
	const odd = "Upgrade: web\xffsocket"
	for _, text := range []string{
		request("GET /ws", "", "Connection: Upgrade", odd), plain("GET /docs/ws", "",
			"Connection: Upgrade", odd),
		plain("OPTIONS /", "", append([]string{"Connection: Upgrade", odd}, aPreflight...)...),
	} {
		wantReply(t, s.dial(text).reply("GET"), http.StatusBadRequest, "request_invalid",
			"the Upgrade header is malformed")
	}
	if n := rec.hits(); n != 0 {
		t.Errorf("got %d requests upstream, want none", n)
	}
}

// What follows a refused upgrade is the next request, and is judged like one.
func TestPublicUpgradesThatFailLeaveNoTunnel(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, public())
	p := s.dial(plain("GET /health", "", webSocket) + plain("GET /jobs", ""))
	res := p.reply("GET")
	wantStatus(t, res, http.StatusOK)
	readAll(t, res.Body)
	wantStatus(t, p.reply("GET"), http.StatusUnauthorized)
	if got := rec.one(t); strings.Contains(got, "/jobs") {
		t.Errorf("got %q upstream", got)
	}
}

// A connection may carry requests of somebody and of nobody in any order.
func TestPublicAndProtectedRequestsKeepApart(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, public())
	p := s.dial(request("GET /jobs", "") + plain("GET /health", "") + plain("GET /jobs", ""))
	for _, want := range []int{http.StatusOK, http.StatusOK, http.StatusUnauthorized} {
		res := p.reply("GET")
		wantStatus(t, res, want)
		readAll(t, res.Body)
	}
	if n := rec.hits(); n != 2 {
		t.Fatalf("got %d requests upstream, want 2", n)
	}
	if got := rec.requests[1]; headerOf(got, "X-User-ID") != nil {
		t.Errorf("got a user on the public request: %q", got)
	}
}

func TestPublicRoutesAreTheSameOverHTTP2(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, public())
	ask := func(path string, fields ...string) string {
		f := s.dialFields()
		defer f.Close()
		f.headers(1, flagEndStream, append([]string{
			":method: GET", ":path: " + path, ":scheme: http", ":authority: evil.example",
		}, fields...)...)
		return f.answer(1)
	}
	for _, path := range []string{
		"/jobs", "/docs", "/docs/../jobs", "/docs/%2e%2e/jobs", "/docs/..%2fjobs", "/docs/..;/jobs",
		"//jobs",
		`/docs\..\jobs`, "/docs/..#/jobs", "/docs/é", "/health#/../jobs", "/docs//jobs", "/docs/.. /jobs",
	} {
		if got := ask(path); !strings.Contains(got, "token_missing") &&
			!strings.Contains(got, "request_invalid") {
			t.Errorf("%s: got %q, want it refused", path, got)
		}
	}
	if n := rec.hits(); n != 0 {
		t.Fatalf("got %d requests upstream, want none: %q", n, rec.requests)
	}
	got := ask("/docs/a", "authorization: Bearer "+goodToken(), "x-user-id: user_B", "xuserid: user_B",
		"x-original-url: /jobs", "cookie: __session="+goodToken(), "cookie: theme=dark")
	if got != "ok" {
		t.Errorf("got %q, want ok", got)
	}
	raw := rec.one(t)
	for _, secret := range []string{"user_B", userA, "Bearer", "__session", "X-Original-Url"} {
		if strings.Contains(raw, secret) {
			t.Errorf("got %q upstream in %q", secret, raw)
		}
	}
	if cookies := headerOf(raw, "Cookie"); len(cookies) != 1 || cookies[0] != "theme=dark" {
		t.Errorf("got Cookie %q, want the other one", cookies)
	}
}
