package proxy_test

import (
	"net/http"
	"strings"
	"testing"

	"tollbook/audit"
)

// A browser adds the cookie to what any site asks.
func TestCookiesAreOfNoUseToOtherSites(t *testing.T) {
	t.Parallel()
	rec := record(t, emptyReply)
	const site = "Sec-Fetch-Site: "
	cases := []struct {
		line    string
		header  []string
		allowed bool
	}{
		{"GET /", nil, true},
		{"POST /", nil, true}, // no browser: or a very old one
		{"GET /", []string{"Origin: " + app}, true},
		{"POST /", []string{"Origin: " + app}, true},
		{"POST /", []string{"Origin: " + app, site + "cross-site"}, true},
		{"DELETE /", []string{"Origin: " + app}, true},
		{"OPTIONS /", []string{"Origin: " + app}, true},
		{"GET /", []string{site + "cross-site"}, true}, // a link
		{"HEAD /", []string{site + "same-site"}, true},
		{"OPTIONS /", []string{site + "cross-site"}, true},
		{"POST /", []string{site + "same-origin"}, true},
		{"POST /", []string{site + "none"}, true},
		{"POST /", []string{site + "cross-site"}, false},
		{"POST /", []string{site + "same-site"}, false},
		{"POST /", []string{site + "Same-Origin"}, false},
		{"POST /", []string{site}, false},
		{"POST /", []string{site + "none", site + "none"}, false},
		{"POST /", []string{site + "none", site + "cross-site"}, false},
		{"PATCH /", []string{site + "cross-site"}, false},
		{"get /", []string{site + "cross-site"}, false},
		{"POST /", []string{"Origin: https://evil.example"}, false},
		{"GET /", []string{"Origin: https://evil.example"}, false},
		{"HEAD /", []string{"Origin: https://evil.example"}, false},
		{"POST /", []string{"Origin: https://evil.example", site + "same-origin"}, false},
		{"POST /", []string{"Origin: null"}, false},
		{"POST /", []string{"Origin:"}, false},
		{"POST /", []string{"Origin: " + app, "Origin: " + app}, false},
		{"POST /", []string{"Origin: " + app, "Origin: https://evil.example"}, false},
		{"POST /", []string{"Origin: " + app + " https://evil.example"}, false},
		{"POST /", []string{"Origin: http://app.example"}, false},
		{"POST /", []string{"Origin: https://APP.example"}, false},
		{"POST /", []string{"Origin: " + app + ":443"}, false},
		{"POST /", []string{"Origin: " + app + "/"}, false},
		{"POST /", []string{"Origin: " + app + ".evil.example"}, false},
		{"POST /", []string{"Origin: https://evil-app.example"}, false},
		{"GET /ws", []string{webSocket, "Origin: https://evil.example"}, false},
	}
	s := start(t, rec.addr, withCookie())
	refused := 0
	for _, c := range cases {
		method, _, _ := strings.Cut(c.line, " ")
		before := rec.hits()
		p := s.dial(plain(c.line, "", append(c.header, sessionCookie())...))
		res := p.reply("HEAD") // the body is not looked at
		_ = p.Close()
		want := http.StatusOK
		if !c.allowed {
			want, refused = http.StatusForbidden, refused+1
		}
		if res.StatusCode != want || rec.hits()-before != map[bool]int{true: 1}[c.allowed] {
			t.Errorf("%s %q: got %d and %d requests upstream, want %d", method, c.header, res.StatusCode,
				rec.hits()-before, want)
		}
	}
	for _, r := range s.records() {
		if r.Phase != audit.Refused {
			continue
		}
		refused--
		if r.Reason != "origin_refused" || r.EventType != audit.EventAuthFailure || r.UserID != userA ||
			r.HTTPStatus != http.StatusForbidden {
			t.Errorf("got %s %q %d of %q", r.EventType, r.Reason, r.HTTPStatus, r.UserID)
		}
	}
	if refused != 0 {
		t.Errorf("got %d refused records too few", refused)
	}
}

func TestCrossSiteUseOfTheCookieIsToldSo(t *testing.T) {
	t.Parallel()
	s := start(t, record(t, okReply).addr, withCookie())
	wantReply(t, s.dial(plain("POST /", "", sessionCookie(), "Origin: null")).reply("POST"),
		http.StatusForbidden, "origin_refused", "The session cookie can't be used from another origin")
}

// Who shows the token in a header can read it: no other site's page can.
func TestHeadersWorkFromEverySite(t *testing.T) {
	t.Parallel()
	rec := record(t, okReply)
	s := start(t, rec.addr, withCookie())
	res := s.dial(request("POST /", "", sessionCookie(), "Origin: https://evil.example",
		"Sec-Fetch-Site: cross-site")).reply("POST")
	wantStatus(t, res, http.StatusOK)
	if got := rec.one(t); strings.Contains(got, goodToken()) {
		t.Errorf("got the token upstream: %q", got)
	}
}
